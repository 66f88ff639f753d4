"""Every metric of Yanshao: name, type, unit, labels, meaning, and what to do when it is off.

This table is the only source: ``/metrics`` (``render``), ``docs/metrics.md`` (``metrics_markdown``) and
the tests of dashboards and alerting rules all read it. To add a metric, add one constant here and count
it where it happens (``meters.counter(EVENTS, "message", "kafka").add()``); label values are given in
the order of the row. Names start with ``yanshao_``; times are seconds; a label is never an id of a
person, a shop, a conversation or a message: its values are a closed set or bounded by configuration.
"""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from stream.core.attainment import Verdict
from stream.core.events import AnyEvent
from stream.core.kinds import KINDS
from stream.core.outputs import BotOutcome, FindingKind, FindingStatus, Outcome, Severity
from stream.core.standing import Standing
from stream.meters import CounterDef, GaugeDef, HistogramDef, InfoDef, Label, Meters, MetricDef

PREFIX = "yanshao_"

NONE = "none"
"""The value of a ``reason`` label where there is none to give."""

# fmt: off
# The rows are set as a table, not as code.

# Labels. The figure behind a name is how many values may come beyond those known beforehand.
TYPE = Label("type", (*(cls.__struct_config__.tag for cls in get_args(AnyEvent)), "timer"))
SOURCE = Label("source", ("kafka", "http", "file", "stdin"))
INVALID_REASON = Label(  # the reasons of `stream.wire`; a test compares
    "reason",
    (
        "too_large", "not_json", "not_utf8", "too_deep", "wrong_type", "missing_field", "bad_value",
        "bad_time", "unknown_type", "key_mismatch", "not_mapped", "internal",
    ),
)
FLAG = Label("flag", ("clock_skew", "bad_unicode"))
KIND = Label("kind", tuple(FindingKind))
SEVERITY = Label("severity", tuple(Severity))
FINDING_STATUS = Label("status", tuple(FindingStatus))
# The shipped packs hold a few hundred rules; a platform's own may hold thousands.
RULE_ID = Label("rule_id", (), 5000, "the rules of the loaded packs")
STAGE = Label("stage", ("decode", "annotate", "step", "outputs", "state"))
OUTCOME = Label("outcome", tuple(Outcome))
REVISION = Label("revision", ("first", "later"))
CLOCK_KIND = Label("kind", tuple(KINDS))
CLOCK_STATE = Label("state", tuple(Standing))
CLOCK_OUTCOME = Label("outcome", tuple(Verdict))
LEG = Label("leg", (), 200, "the parties that the packs name, other departments are `department`")
POLICY = Label("policy", (), 500, "the OLA policies of the loaded packs")
CAUSE = Label("cause", ("broker", "work", "delivery", "partition", "conversation"))
BACKLOG = Label("backlog", ("included", "excluded"))
DEFINITION = Label("definition", ("plain",), 16, "the response metric definitions of the loaded packs")
RESPONSE = Label("response", ("first", "next"))
FIGURE = Label("figure", (), 40, "the figures of those definitions")
BOT_OUTCOME = Label("outcome", tuple(one for one in BotOutcome if one is not BotOutcome.NONE))
RETURN = Label("return", ("reopened", "repeat"))
ALERT_STATUS = Label("status", ("firing", "acknowledged", "resolved"))
RECEIVER = Label("receiver", (), 200, "the receivers of the configuration")
REASON = Label(  # the reasons of `alerts.model`; a test compares
    "reason",
    (
        NONE, "below_minimum_severity", "no_receiver", "not_told", "unknown_receiver", "receiver_disabled",
        "resolved_in_quiet_hours", "superseded_in_quiet_hours",
        "dns", "connect", "tls", "timeout", "disconnected", "address_refused", "invalid_url", "redirected",
        "throttled", "unavailable", "rejected", "unauthorized", "gone", "bad_response", "internal",
        "horizon", "max_attempts",
    ),
)
DELIVERY_OUTCOME = Label("outcome", ("delivered", "failed", "dropped"))
REPEAT = Label("repeat", ("accepted_again", "after_restart"))
TOPIC = Label("topic", (), 50, "the topics of the configuration")
PARTITION = Label("partition", (), 1000, "the partitions of those topics")
QUEUE = Label("queue", ("ingest", "outputs", "delivery"), 10, "the queues of the runtime")
PART = Label("part", ("ingest", "engine", "alerting", "delivery", "runtime"))
HANDLER = Label("handler", ("events", "metrics", "healthz", "readyz", "page"), 20, "the routes of the server")
CODE = Label("code", ("200", "202", "400", "401", "404", "405", "413", "429", "500", "503"), 60, "HTTP")
CUT = Label(  # the reasons of `stream.runtime.listening`; a test compares
    "reason", ("too_many", "too_many_of_address", "slow_head", "not_reading", "malformed")
)
RULE_STATUS = Label("status", ("active", "staged"))
HASH = Label("hash", (), 1, "one at a time: the loaded one")
VERSION = Label("version", (), 1, "one at a time")
RUNTIME = Label("runtime", ("kafka", "local"))
METRIC = Label("metric", (), 200, "this table")

# Bucket bounds, in seconds unless said otherwise. Each set holds the bound that a budget names
# (a histogram can say "within 0.25 s" only where 0.25 is a bound) and about eight others, because
# every bound is a series per label value.
DELIVERY_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0)
BATCH_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
BATCH_EVENT_BOUNDS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)
LATENESS_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0)
# 30 s, 3 min, 5 min and 10 min are the limits of the platforms' definitions.
RESPONSE_BOUNDS = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 3600.0)
OVER_BOUNDS = (30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)
COMMIT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
SCORE_BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

INTAKE, DETECTION, CONVERSATION, CUSTOMERS = "Intake", "Detection", "Conversations", "Customers"
CLOCKS, ALERTING, DELIVERY = "Clocks", "Alerts", "Delivery"
KAFKA, KNOWLEDGE, LOCAL, PROCESS = "Kafka runtime", "Knowledge", "Local runtime and HTTP", "Process"

# Intake ------------------------------------------------------------------------------------------

EVENTS = CounterDef(
    name="yanshao_events_total", section=INTAKE, unit="events", labels=(TYPE, SOURCE),
    meaning="Events accepted and applied, by type and by where they came from.",
    remedy="At zero in business hours: look at the chat system's feed, then at yanshao_events_invalid_total.",
)
EVENTS_INVALID = CounterDef(
    name="yanshao_events_invalid_total", section=INTAKE, unit="events", labels=(INVALID_REASON,),
    meaning="Events refused (HTTP 400, a refused line of a file, or a dead letter), by reason.",
    remedy="The sender changed its format: `yanshao dlq list` shows them, docs/events.md the contract.",
)
EVENTS_DUPLICATE = CounterDef(
    name="yanshao_events_duplicate_total", section=INTAKE, unit="events",
    meaning="Messages whose message_id is among their conversation's last 64: counted and ignored.",
    remedy="A steady share is normal for at-least-once senders; a jump says that the sender re-sends.",
)
EVENTS_REDELIVERED = CounterDef(
    name="yanshao_events_redelivered_total", section=INTAKE, unit="events",
    meaning="Records skipped because the state already held them (Kafka gave them again after a restart).",
    remedy="Grows only at restarts and rebalances; otherwise look at yanshao_rebalances_total.",
)
EVENTS_LATE = CounterDef(
    name="yanshao_events_late_total", section=INTAKE, unit="events",
    meaning="Events older than the latest of their conversation.",
    remedy="A growing share: the sender reorders, or its records are not keyed by conversation_id.",
)
EVENTS_MENDED = CounterDef(
    name="yanshao_events_mended_total", section=INTAKE, unit="events", labels=(FLAG,),
    meaning="Events accepted after a repair: clock_skew (time clamped), bad_unicode (half a surrogate pair).",
    remedy="clock_skew: set the sender's clock by NTP; its clocks and response times are wrong until then.",
)
DEAD_LETTERS = CounterDef(
    name="yanshao_dead_letters_total", section=INTAKE, unit="records", labels=(INVALID_REASON,),
    meaning="Records written to the dead-letter topic or file, by reason.",
    remedy="`yanshao dlq list`; mend the cause, then `yanshao dlq replay`.",
)
INTERNAL_ERRORS = CounterDef(
    name="yanshao_internal_errors_total", section=INTAKE, unit="errors", labels=(PART,),
    meaning="Faults of our own: an exception that no data should cause, contained and logged.",
    remedy="Each one is a bug. The log has the traceback and the record's topic, partition and offset.",
)

# Detection ---------------------------------------------------------------------------------------

FINDINGS = CounterDef(
    name="yanshao_findings_total", section=DETECTION, unit="findings",
    labels=(KIND, SEVERITY, FINDING_STATUS),
    meaning="Findings written; status corrected takes an earlier one back.",
    remedy="A sudden change without a change of traffic: compare packs with `yanshao packs diff`.",
)
RULE_FINDINGS = CounterDef(
    name="yanshao_rule_findings_total", section=DETECTION, unit="findings", labels=(RULE_ID,),
    meaning="Findings by rule (active rules).",
    remedy="A rule far above the others is noise: `yanshao rules explain` on one of its chats.",
)
STAGED_HITS = CounterDef(
    name="yanshao_rule_staged_hits_total", section=DETECTION, unit="hits", labels=(RULE_ID,),
    meaning="Hits of staged rules: counted, told to nobody.",
    remedy="Decides whether the rule may go active; hits a day times supervisors' minutes is its price.",
)
DISSATISFACTION = HistogramDef(
    name="yanshao_dissatisfaction_score", section=DETECTION, unit="ratio", buckets=SCORE_BOUNDS,
    meaning="Dissatisfaction score of each customer message, judged when it arrives.",
    remedy="A shift of the whole curve is a change of model or of the kind of chats, not of customers.",
)
BATCH_EVENTS = HistogramDef(
    name="yanshao_batch_events", section=DETECTION, unit="events", buckets=BATCH_EVENT_BOUNDS,
    meaning="Events in each batch that the engine took.",
    remedy="Always at the upper bound: the worker is behind; see yanshao_partition_lag_records.",
)
BATCH_SECONDS = HistogramDef(
    name="yanshao_batch_seconds", section=DETECTION, unit="seconds", labels=(STAGE,), buckets=BATCH_BOUNDS,
    meaning="Time each batch spent in a stage; outputs and state include their confirmation.",
    remedy="annotate or step: a costly pack. outputs or state: the broker or the disk is slow.",
)

# Conversations -----------------------------------------------------------------------------------

CONVERSATIONS_OPEN = GaugeDef(
    name="yanshao_conversations_open", section=CONVERSATION, unit="conversations",
    meaning="Conversations held in state.",
    remedy="Growing without end: the chat system sends no close and the idle limit is too long. Growing for "
    "days: much is promised, and held until it is due and `conversation.keep_owed` after that.",
)
STATE_BYTES = GaugeDef(
    name="yanshao_state_bytes", section=CONVERSATION, unit="bytes",
    meaning="Serialised state of all conversations held.",
    remedy="Over 6 KiB a conversation on average: report it with a sample; memory follows this number.",
)
SUMMARIES = CounterDef(
    name="yanshao_summaries_total", section=CONVERSATION, unit="summaries", labels=(OUTCOME, REVISION),
    meaning="Summaries written, by outcome; a rating, a reopening or a late event makes a later one.",
    remedy="unresolved or abandoned up: see the supervisors' dashboard, then the summaries themselves.",
)
CONVERSATION_DISSATISFACTION = HistogramDef(
    name="yanshao_conversation_dissatisfaction", section=CONVERSATION, unit="ratio", buckets=SCORE_BOUNDS,
    meaning="Dissatisfaction of each closed conversation (first revision of its summary).",
    remedy="The upper part growing is an unhappy day: see which findings and clocks go with it.",
)
RESPONSE_SECONDS = HistogramDef(
    name="yanshao_response_seconds", section=CONVERSATION, unit="seconds", labels=(DEFINITION, RESPONSE),
    buckets=RESPONSE_BOUNDS,
    meaning="How long customers waited for the first and for each next reply, by definition of a reply.",
    remedy="Add agents to the queue, or look which clocks are missed by policy and party.",
)
BOT_STAGES = CounterDef(
    name="yanshao_bot_stages_total", section=CONVERSATION, unit="conversations", labels=(BOT_OUTCOME,),
    meaning="Closed conversations that a bot had a stage of: contained by it, or handed over to a person.",
    remedy="handed_over up: see in the summaries which categories the bot no longer answers.",
)

# Customers ---------------------------------------------------------------------------------------

CUSTOMERS_HELD = GaugeDef(
    name="yanshao_customers_held", section=CUSTOMERS, unit="customers",
    meaning="Customers held in state because they may come back, or their day is not settled.",
    remedy="About those of the last two days; far above: the chat system gives a new id to each visit.",
)
CUSTOMER_BYTES = GaugeDef(
    name="yanshao_customer_state_bytes", section=CUSTOMERS, unit="bytes",
    meaning="Serialised state of all customers held.",
    remedy="Over 1.5 KiB a conversation of two days on average: report it with a sample.",
)
RETURNS = CounterDef(
    name="yanshao_returns_total", section=CUSTOMERS, unit="conversations", labels=(RETURN,),
    meaning="Conversations that were reopened by a later one, and those that repeat an earlier one.",
    remedy="reopened up: the summaries with `reopened` name shop, agent and category that did not solve it.",
)
CONTACTS_DROPPED = CounterDef(
    name="yanshao_contacts_dropped_total", section=CUSTOMERS, unit="contacts",
    meaning="Conversations left out because their customer had more than 64 within two days.",
    remedy="An id that many people share (anonymous, a kiosk): let the chat system leave it out.",
)
PLATFORM_NUMERATOR = CounterDef(
    name="yanshao_platform_numerator_total", section=CUSTOMERS, unit="units", labels=(DEFINITION, FIGURE),
    meaning="Numerators (for averages: seconds) of platforms' response figures, from settled days.",
    remedy="A figure is its increase over that of yanshao_platform_denominator_total; docs/ola.md has them.",
)
PLATFORM_DENOMINATOR = CounterDef(
    name="yanshao_platform_denominator_total", section=CUSTOMERS, unit="units", labels=(DEFINITION, FIGURE),
    meaning="Denominators (turns, sessions, messages, customer-days) of the same figures.",
    remedy="Grows an hour after each day's end; not at all: no worker has settled the day, see its log.",
)
PLATFORM_CORRECTIONS = CounterDef(
    name="yanshao_platform_corrections_total", section=CUSTOMERS, unit="units", labels=(DEFINITION,),
    meaning="Units that came, or changed, after their day was settled; they are in no figure.",
    remedy="More than a few of a hundred: conversations go on over midnight, or a worker was down then.",
)

# Clocks ------------------------------------------------------------------------------------------

CLOCKS_OPEN = GaugeDef(
    name="yanshao_clocks_open", section=CLOCKS, unit="clocks", labels=(CLOCK_KIND, CLOCK_STATE),
    meaning="OLA clocks that are open now, by kind and state (warned: running, and a warning was told).",
    remedy="breached growing: answers are owed now; `yanshao ola open` names them and who owes.",
)
CLOCK_OLDEST = GaugeDef(
    name="yanshao_clock_oldest_overdue_seconds", section=CLOCKS, unit="seconds", labels=(CLOCK_KIND,),
    meaning="How long the most overdue open clock of a kind is past its target; absent where none is.",
    remedy="Somebody was forgotten: `yanshao ola open` has it on top, with who owes the answer.",
)
CLOCKS_STOPPED = CounterDef(
    name="yanshao_clocks_stopped_total", section=CLOCKS, unit="clocks",
    labels=(CLOCK_KIND, LEG, POLICY, CLOCK_OUTCOME),
    meaning="Clocks decided, each once: met, missed (at the target), withdrawn (when the conversation is let "
    "go); and corrected: a miss taken back.",
    remedy="Attainment is (met + corrected) / (met + missed): below target, see which policy and party; by "
    "agent: `yanshao ola attainment`.",
)
CLOCK_OVER = HistogramDef(
    name="yanshao_clock_over_seconds", section=CLOCKS, unit="seconds", labels=(CLOCK_KIND,),
    buckets=OVER_BOUNDS,
    meaning="How far past the target a missed clock was when the answer or else the end came, in its "
    "policy's time.",
    remedy="Minutes over: capacity. Hours over: forgotten; check who receives the escalation.",
)
CLOCK_LATENESS = HistogramDef(
    name="yanshao_clock_lateness_seconds", section=CLOCKS, unit="seconds", labels=(BACKLOG,),
    buckets=LATENESS_BOUNDS,
    meaning="How late a due clock was fired, with and without the wait for records already in the log.",
    remedy="excluded high: the worker stalls, look at its CPU. Only included high: the worker is behind.",
)
CLOCKS_WAITING = GaugeDef(
    name="yanshao_clocks_waiting", section=CLOCKS, unit="clocks",
    meaning="Due clocks that wait until the worker has read past the records already in the log.",
    remedy="High while lag is high; it falls by itself as the worker catches up.",
)

# Alerts ------------------------------------------------------------------------------------------

ALERTS = CounterDef(
    name="yanshao_alerts_total", section=ALERTING, unit="alerts", labels=(ALERT_STATUS, SEVERITY),
    meaning="Changes in an alert's life, by the status entered and the severity.",
    remedy="Too many firing to be read: raise a rule's severity limit on the route or stage the rule.",
)
ALERTS_OPEN = GaugeDef(
    name="yanshao_alerts_open", section=ALERTING, unit="alerts", labels=(SEVERITY,),
    meaning="Alerts that fire now, by severity.",
    remedy="Critical ones open for long: `yanshao alerts list`, then call the supervisor.",
)

# Delivery ----------------------------------------------------------------------------------------

_DECIDED = (
    ("delivered", NONE),
    *((outcome, reason) for outcome in ("failed", "dropped") for reason in REASON.values if reason != NONE),
)

NOTIFICATIONS_ACCEPTED = CounterDef(
    name="yanshao_notifications_accepted_total", section=DELIVERY, unit="notifications", labels=(RECEIVER,),
    meaning="Notifications durable in the ledger.",
    remedy="Minus yanshao_notifications_total it is what is still owed.",
)
NOTIFICATIONS = CounterDef(
    name="yanshao_notifications_total", section=DELIVERY, unit="notifications",
    labels=(RECEIVER, DELIVERY_OUTCOME, REASON), preset=_DECIDED,
    meaning="Notifications decided for good, by receiver, outcome and reason.",
    remedy="failed: nobody was told. Mend by reason: unauthorized = token, rejected = format, dns = network.",
)
ATTEMPTS = CounterDef(
    name="yanshao_delivery_attempts_total", section=DELIVERY, unit="attempts", labels=(RECEIVER, REASON),
    meaning="Attempts to deliver; reason none means that the receiver took it.",
    remedy="throttled: the robot's budget is spent, use a digest or a second robot.",
)
REPEATS = CounterDef(
    name="yanshao_notification_repeats_total", section=DELIVERY, unit="notifications",
    labels=(RECEIVER, REPEAT),
    meaning="Notification ids that came again; after_restart bounds how many messages people saw twice.",
    remedy="Grows at crashes only; otherwise the worker is restarting, see its log.",
)
DELIVERY_SECONDS = HistogramDef(
    name="yanshao_delivery_seconds", section=DELIVERY, unit="seconds", labels=(RECEIVER,),
    buckets=DELIVERY_BOUNDS,
    meaning="From the message's business time, or the opening it was held for, to the receiver's acceptance.",
    remedy="Compare with yanshao_partition_lag_records (we are late) and the attempts (the receiver is).",
)
LEDGER_PENDING = GaugeDef(
    name="yanshao_ledger_pending", section=DELIVERY, unit="notifications", labels=(RECEIVER,),
    meaning="Notifications not yet decided, those in flight and those held among them.",
    remedy="Growing, less those held: the receiver is down or throttles; see its attempts by reason.",
)
LEDGER_OLDEST = GaugeDef(
    name="yanshao_ledger_oldest_pending_seconds", section=DELIVERY, unit="seconds", labels=(RECEIVER,),
    meaning="Age of the oldest notification not yet decided; of one that was held, since its opening.",
    remedy="People have not been told for this long: mend the receiver or route to another.",
)
NOTIFICATIONS_HELD = GaugeDef(
    name="yanshao_notifications_held", section=DELIVERY, unit="notifications", labels=(RECEIVER,),
    meaning="Notifications that wait in the ledger for the opening of their route's hours.",
    remedy="High by day: the calendar of the route is not the one people work by.",
)
RECEIVER_UP = GaugeDef(
    name="yanshao_receiver_up", section=DELIVERY, unit="boolean", labels=(RECEIVER,),
    meaning="0 from a receiver's first unreachable or throttled answer to its next acceptance.",
    remedy="At 0: try its address from this host; the reason is in yanshao_delivery_attempts_total.",
)
RECEIVER_BUSY = GaugeDef(
    name="yanshao_receiver_busy", section=DELIVERY, unit="share", labels=(RECEIVER,),
    meaning="How many of a receiver's sends that may be under way at once are, 0 to 1, over some seconds.",
    remedy="Near 1 it answers too slowly for what it is told; raise max_in_flight, or route less to it.",
)
LEDGER_ERRORS = CounterDef(
    name="yanshao_ledger_errors_total", section=DELIVERY, unit="errors",
    meaning="Writes of the ledger (or of a dead letter) that raised; they are repeated.",
    remedy="The disk is full or the broker refuses: nothing is lost yet, but nothing is confirmed either.",
)

# Kafka runtime -----------------------------------------------------------------------------------

PARTITION_LAG = GaugeDef(
    name="yanshao_partition_lag_records", section=KAFKA, unit="records", labels=(TOPIC, PARTITION),
    meaning="Records of an assigned partition not yet applied and confirmed.",
    remedy="Growing: add workers up to the number of partitions; yanshao_batch_seconds says what is slow.",
)
PROGRESS_AGE = GaugeDef(
    name="yanshao_partition_progress_age_seconds", section=KAFKA, unit="seconds", labels=(TOPIC, PARTITION),
    meaning="Since when an assigned partition with lag has made no progress; 0 where there is no lag.",
    remedy="The watchdog ends the process before long; if it recurs, the log names the record.",
)
PARTITIONS_ASSIGNED = GaugeDef(
    name="yanshao_partitions_assigned", section=KAFKA, unit="partitions", labels=(TOPIC,),
    meaning="Partitions that this worker owns.",
    remedy="The sum over workers below the topic's partitions: a rebalance is under way or a worker is gone.",
)
PARTITIONS_RECOVERING = GaugeDef(
    name="yanshao_partitions_recovering", section=KAFKA, unit="partitions",
    meaning="Assigned partitions whose state is still being rebuilt.",
    remedy="For minutes: the local snapshot is missing and the changelog long; check the data directory.",
)
RECOVERY_SECONDS = GaugeDef(
    name="yanshao_last_recovery_seconds", section=KAFKA, unit="seconds",
    meaning="How long the last rebuilding of state took.",
    remedy="Over 6 s at 100,000 conversations: check the snapshot and the changelog's compaction.",
)
SNAPSHOT_FAILURES = CounterDef(
    name="yanshao_snapshot_failures_total", section=KAFKA, unit="files",
    meaning="Local snapshots of a partition's state that could not be written.",
    remedy="Look at the log and the data directory (full, read-only?): a restart reads the whole changelog.",
)
REBALANCES = CounterDef(
    name="yanshao_rebalances_total", section=KAFKA, unit="rebalances",
    meaning="Assignments taken by this worker.",
    remedy="Without a deploy it should stand still: look at session time-outs and CPU starvation.",
)
BATCHES_IN_FLIGHT = GaugeDef(
    name="yanshao_batches_in_flight", section=KAFKA, unit="batches",
    meaning="Batches taken whose outputs or state are not yet confirmed.",
    remedy="Always at the window's size: the broker is the brake; see stages outputs and state.",
)

PRESSURE = GaugeDef(
    name="yanshao_pressure", section=KAFKA, unit="share", labels=(CAUSE,),
    meaning="How much each possible brake is in use, 0 to 1; conversation: the hottest one's share.",
    remedy="Near 1 that is what is slow, see docs/operations.md; conversation over 0.1: one chat is a storm.",
)

# Knowledge ---------------------------------------------------------------------------------------

PACKS_INFO = InfoDef(
    name="yanshao_packs_info", section=KNOWLEDGE, unit="info", labels=(HASH,),
    meaning="Hash of the loaded packs; all workers should show the same.",
    remedy="Different hashes for minutes: a worker cannot load them, see its log.",
)
PACKS_RULES = GaugeDef(
    name="yanshao_packs_rules", section=KNOWLEDGE, unit="rules", labels=(RULE_STATUS,),
    meaning="Rules loaded, by status.",
    remedy="Fewer than yesterday: `yanshao packs diff`.",
)
PACKS_LOAD_SECONDS = GaugeDef(
    name="yanshao_packs_load_seconds", section=KNOWLEDGE, unit="seconds",
    meaning="How long the last load (validate and compile) took.",
    remedy="Over 1 s: a list grew very large; conversions asked for by terms multiply it.",
)
PACKS_LOADED = GaugeDef(
    name="yanshao_packs_last_load_successful", section=KNOWLEDGE, unit="boolean",
    meaning="1 if the last load succeeded; at 0 the packs loaded before it stay in force.",
    remedy="`yanshao packs check` prints every error with its line.",
)
PACKS_LOADED_AT = GaugeDef(
    name="yanshao_packs_last_load_timestamp_seconds", section=KNOWLEDGE, unit="seconds",
    meaning="When the packs in force were loaded (Unix time).",
    remedy="Older than a change you made: the change did not reach this worker.",
)

# Local runtime and HTTP --------------------------------------------------------------------------

COMMIT_SECONDS = HistogramDef(
    name="yanshao_store_commit_seconds", section=LOCAL, unit="seconds", buckets=COMMIT_BOUNDS,
    meaning="Time of each SQLite commit, until the disk confirmed it.",
    remedy="Tens of milliseconds: a slow or shared disk bounds the events per second; use a local SSD.",
)
HTTP_REQUESTS = CounterDef(
    name="yanshao_http_requests_total", section=LOCAL, unit="requests", labels=(HANDLER, CODE),
    meaning="HTTP requests answered, by route and status code.",
    remedy="401: a sender's token. 400: its format. 429, 503: back-pressure, the sender must slow down.",
)
HTTP_CUT = CounterDef(
    name="yanshao_http_cut_total", section=LOCAL, unit="connections", labels=(CUT,),
    meaning="Connections cut, or not taken, by reason: beyond a bound of `listen`, or what came was no HTTP.",
    remedy="A sender of yours: have it keep connections, or raise the bound. Nobody's: see to the firewall.",
)
QUEUE_DEPTH = GaugeDef(
    name="yanshao_queue_depth", section=LOCAL, unit="entries", labels=(QUEUE,),
    meaning="Entries that wait in a queue inside the process.",
    remedy="Standing at its bound: the next stage is the brake.",
)

# Process -----------------------------------------------------------------------------------------

READY = GaugeDef(
    name="yanshao_ready", section=PROCESS, unit="boolean",
    meaning="1 when packs are loaded, state is recovered and events are being taken; as /readyz.",
    remedy="At 0 after the start: /readyz names what is missing.",
)
TASKS = GaugeDef(
    name="yanshao_tasks", section=PROCESS, unit="tasks",
    meaning="Tasks of the event loop: a settled number, and one or two more for each send under way.",
    remedy="Growing for hours: something is started and never ended; report it.",
)
BUILD_INFO = InfoDef(
    name="yanshao_build_info", section=PROCESS, unit="info", labels=(VERSION, RUNTIME),
    meaning="Version and runtime of this process.",
    remedy="Different versions for long: an upgrade stopped half-way.",
)
LABEL_OVERFLOW = CounterDef(
    name="yanshao_metrics_label_overflow_total", section=PROCESS, unit="values", labels=(METRIC,),
    meaning="Counts that went to the label value `other` because the label's bound was reached.",
    remedy="Raise the bound in stream/metrics.py, or find what makes so many values.",
)
SCRAPE_ERRORS = CounterDef(
    name="yanshao_metrics_read_errors_total", section=PROCESS, unit="errors", labels=(METRIC,),
    meaning="Gauges left out of a scrape because reading them raised.",
    remedy="A bug: report it with the metric's name.",
)

# fmt: on

# All of the above, in the order written; nothing else in this module is a MetricDef.
TABLE: tuple[MetricDef, ...] = tuple(value for value in vars().values() if isinstance(value, MetricDef))

PROCESS_METRICS: tuple[tuple[str, str], ...] = (
    ("process_cpu_seconds_total", "CPU time used, user and system."),
    ("process_resident_memory_bytes", "Resident memory."),
    ("process_virtual_memory_bytes", "Virtual memory."),
    ("process_open_fds", "Open file descriptors."),
    ("process_max_fds", "Limit of open file descriptors."),
    ("process_start_time_seconds", "Start of the process (Unix time)."),
    ("python_info", "Version of the interpreter."),
    ("python_gc_objects_collected_total", "Objects that the garbage collector freed, by generation."),
    ("python_gc_objects_uncollectable_total", "Objects that it could not free."),
    ("python_gc_collections_total", "How often it ran."),
)
"""What prometheus-client's own collectors add, for the document and the drift tests."""


class Metrics(Meters):
    """The meters of one process, in a registry of their own (nothing is shared between two)."""

    def __init__(self) -> None:
        super().__init__(TABLE, overflow=LABEL_OVERFLOW, failure=SCRAPE_ERRORS)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)


class DeliveryCounts:
    """Counts delivery: the ``DeliveryMetrics`` protocol of ``alerts.metrics`` on these meters.

    Takes the reasons and outcomes of ``alerts.model`` as the strings they are, so that this module
    need not import ``alerts``.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def accepted(self, receiver: str) -> None:
        """A notification became durable."""
        self._metrics.inc(NOTIFICATIONS_ACCEPTED, receiver)

    def repeated(self, receiver: str, repeat: str) -> None:
        """An id came again."""
        self._metrics.inc(REPEATS, receiver, repeat)

    def attempted(self, receiver: str, reason: str | None) -> None:
        """One attempt ended."""
        self._metrics.inc(ATTEMPTS, receiver, reason or NONE)

    def finished(self, receiver: str, outcome: str, reason: str | None) -> None:
        """A notification was decided."""
        self._metrics.inc(NOTIFICATIONS, receiver, outcome, reason or NONE)

    def delivered_after(self, receiver: str, seconds: float) -> None:
        """A receiver accepted an alert this long after the message was sent."""
        self._metrics.histogram(DELIVERY_SECONDS, receiver).observe(seconds)

    def queue_depth(self, receiver: str, entries: int) -> None:
        """So many entries of a receiver are open."""
        self._metrics.gauge(LEDGER_PENDING, receiver).set(entries)

    def receiver_up(self, receiver: str, up: bool) -> None:
        """Whether a receiver answers."""
        self._metrics.gauge(RECEIVER_UP, receiver).set(up)

    def ledger_failed(self) -> None:
        """A write of the ledger raised."""
        self._metrics.inc(LEDGER_ERRORS)


def render(metrics: Metrics, accept: str = "") -> tuple[bytes, str]:
    """Return the body and the content type of ``/metrics`` for the request's ``Accept`` header."""
    encoder, content_type = choose_encoder(accept)
    return encoder(metrics.registry), content_type


def metrics_markdown() -> str:
    """Return ``docs/metrics.md``: the table, a section at a time."""
    lines = [
        "# Metrics",
        "",
        "Written from `stream/metrics.py`; do not edit. Served at `/metrics` of every process; dashboards",
        "and alerting rules that use them are under `deploy/`. A label's values are a closed set, or bounded",
        "as said here; a value beyond the bound is counted as `other`. No label is ever an id of a person,",
        "a shop, a conversation or a message: per agent and per shop see the summaries.",
    ]
    sections: dict[str, list[MetricDef]] = {}
    for definition in TABLE:
        sections.setdefault(definition.section, []).append(definition)
    for section, definitions in sections.items():
        lines += ["", f"## {section}", "", "| metric | type | unit | labels | meaning | when it is off |"]
        lines += ["|---|---|---|---|---|---|", *map(_row, definitions)]
    lines += ["", "## Labels", "", "| label | of | values |", "|---|---|---|", *_label_rows()]
    lines += ["", "## From the client library", "", "| metric | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in PROCESS_METRICS]
    return "\n".join(lines) + "\n"


def _row(metric: MetricDef) -> str:
    labels = ", ".join(f"`{label.name}`" for label in metric.labels)
    cells = (f"`{metric.name}`", metric.type, metric.unit, labels, metric.meaning, metric.remedy)
    return "| " + " | ".join(cells) + " |"


def _label_rows() -> list[str]:
    users: dict[Label, list[str]] = {}
    for metric in TABLE:
        for label in metric.labels:
            users.setdefault(label, []).append(f"`{metric.name}`")
    rows = []
    for label, names in users.items():
        values = ", ".join(f"`{value}`" for value in label.values)
        bound = "" if label.closed else f"up to {label.more} more: {label.bound}" if values else label.bound
        rows.append(f"| `{label.name}` | {', '.join(names)} | {'; '.join(filter(None, (values, bound)))} |")
    return rows
