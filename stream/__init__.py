"""The way of one message, from a chat window to the person who can still save the conversation.

1. A customer writes 怎么还不发货. The chat system sends one JSON object: by ``POST /v1/events``
   (``runtime.http``) to the embedded runtime (``runtime.local``), as a line of a file
   (``runtime.replay``), or as a record of ``chat.messages``, which Faust fetches and hands over a batch at
   a time (``runtime.kafka.feed``) to the processor of its partition (``runtime.kafka.partition``).

2. ``wire.inbound.decode`` makes an event of the bytes and settles its one business time ``t``, or raises
   ``InvalidMessage`` with a reason from a closed list. Refused bytes are kept untouched: an answer 400
   that names them, a line of ``dlq.jsonl``, a record of ``qa.dlq``.

3. Every runtime hands its events to ``runtime.conversations``, the one place where all parts meet. It
   holds each conversation as a record of bytes (``core.state``) and skips what that record says was
   applied already.

4. ``core.annotate`` learns what the text says by itself, many texts at once and with no conversation
   round them: one spelling for what reads the same (``core.text``), disguised words put back
   (``core.evasion``), terms of all packs in one pass (``core.lexicon``), negation and degree
   (``core.emotion``), personal data (``core.privacy``), scores of a customer's words (``core.scores``).
   Every position leads back to the original characters.

5. ``core.engine.step`` decides all that depends on the conversation. Time does not run by itself: first
   every clock with ``due < t`` fires, in order (``core.clocks``). Then the message opens or answers a
   turn (``core.service``), the rules look at it (``core.rules``), and what they say becomes findings with
   ids that depend on the happening alone (``core.findings``, ``core.ids``). ``core.messages`` says in
   which order.

6. Not hearing anything is news too. What comes due next stands in the conversation's record. When the
   moment comes, a timer record brings it forward: made by the embedded runtime's own loop, or written to
   ``qa.timers`` once the worker has read what was in the log by then (``runtime.kafka.timers``). An
   answer that turns out to have been in time takes the finding back: ``status: corrected``.

7. ``alerting`` turns findings into alerts, under a key that makes two complaints of one topic one alert,
   told again only if it gets worse. What an alert quotes was masked before it got here.

8. A conversation that closes is one of its customer's: ``core.customers`` says whether the customer came
   back with what an earlier one did not solve, and tells that one's summary again. In a replay and
   embedded it hears of the close at once; on Kafka by ``qa.contacts``, in the customer's partition.

9. Only now does anything count as done. Embedded: states, records and notifications in one SQLite
   transaction (``runtime.store``), then the sender is answered. On Kafka: outputs confirmed, then states
   confirmed, then the records acknowledged; a crash between any two repeats ids and loses nothing.

10. ``alerts.policy`` routes the alert, ``alerts.dispatcher`` delivers each notification from a durable
    ledger, at each receiver's own pace (``alerts`` tells that part of the way). A group robot rings, and
    somebody answers the customer.

What is a complaint, how long is too long, who hears of it: none of that is in this package. It is in
``lexicons``, loaded by ``packs`` into one immutable book (``core.book``) that is swapped whole, while the
messages go on.
"""
