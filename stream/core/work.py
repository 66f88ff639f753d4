"""One step in progress: what it reads, what it gathers, and how a hit becomes a finding."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from stream.core import attainment, clocks, findings, rules, summary
from stream.core.annotation import EMPTY, Annotation
from stream.core.attainment import Decided
from stream.core.book import RuleBook
from stream.core.clocks import Due, Fired
from stream.core.limits import DEFAULT_LIMITS, Limits
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.core.rules import Counts, Rule, RuleHit
from stream.core.state import State


class Step(Struct, frozen=True, gc=False):
    """What one event came to.

    ``state`` is ``None`` once the conversation is forgotten. ``counted`` names what was noticed on the
    way (duplicate, late, unknown issue …) for the metrics, ``decided`` the clocks that it settled.
    """

    state: State | None
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()
    summary: Summary | None = None
    contacts: tuple[Contact, ...] = ()
    counted: tuple[str, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    decided: tuple[Decided, ...] = ()

    @property
    def clocks(self) -> tuple[Due, ...]:
        """What will come due if nothing else happens, earliest first; worked out when asked for."""
        return () if self.state is None else clocks.upcoming(self.state, self.limits)

    def then(self, later: Step) -> Step:
        """Return this step and the one that followed as one."""
        return replace(
            later,
            findings=self.findings + later.findings,
            summary=later.summary or self.summary,
            contacts=self.contacts + later.contacts,
            counted=self.counted + later.counted,
            decided=self.decided + later.decided,
        )


class Work:
    """Gathers what one step gives; ``state`` is changed in place.

    ``concerned`` are the rules that the message concerns, None where nobody has looked them up.
    """

    __slots__ = (
        "annotation",
        "book",
        "concerned",
        "contacts",
        "counted",
        "findings",
        "scores",
        "state",
        "summary",
    )

    def __init__(
        self,
        book: RuleBook,
        state: State,
        annotation: Annotation = EMPTY,
        concerned: Sequence[Rule] | None = None,
    ) -> None:
        self.book = book
        self.state = state
        self.annotation = annotation
        self.concerned = concerned
        # Tuples: most steps give nothing, the others one or two.
        self.findings: tuple[Finding, ...] = ()
        self.scores: tuple[Score, ...] = ()
        self.summary: Summary | None = None
        self.contacts: tuple[Contact, ...] = ()
        self.counted: tuple[str, ...] = ()

    def tell(self, finding: Finding) -> None:
        """Gather a finding and count it for the summary."""
        self.findings += (finding,)
        if finding.message_id is not None:  # what a clock or a close says may be taken back
            self.state.gravest = max(self.state.gravest, finding.severity.rank)
        self.state.count(f"finding.{finding.kind}", findings.weight(finding))

    def note(self, name: str) -> None:
        """Count a happening, for the summary and for the metrics."""
        self.counted += (name,)
        self.state.count(name)

    def tell_hit(
        self, hit: RuleHit, *, message_id: str | None = None, clock_id: str | None = None
    ) -> Finding | None:
        """Gather the finding of a rule's hit; a staged rule is counted and not told."""
        if hit.rule.staged:
            self.note(f"staged:{hit.rule.id}")
            return None
        finding = findings.of_rule(self.state, hit, self.annotation, message_id=message_id, clock_id=clock_id)
        self.tell(finding)
        summary.add_points(self.state, hit.rule, finding)
        return finding

    def take_back(self, wrong: tuple[Fired, ...]) -> None:
        """Correct what clocks told at moments that an answer or a stop proves wrong."""
        for fired in wrong:
            rule = self.book.rules.get(self.state.names[fired.clock.policy])
            if rule is not None:
                rules.untell(self.state.rules, rule.id, fired.due)
                self.take_back_hit(RuleHit(rule, fired.due, 1), clock_id=self.state.clock_id(fired.clock))
                continue
            finding = findings.of_clock(self.book, self.state, fired, corrected=True)
            if finding is not None:
                self.tell(finding)

    def take_back_hit(self, hit: RuleHit, *, clock_id: str | None = None) -> None:
        """Correct what a rule concluded at its clock or at close; its points go with it."""
        if hit.rule.staged:
            self.state.count(f"staged:{hit.rule.id}", -1)
            return
        finding = findings.of_rule(self.state, hit, EMPTY, message_id=None, clock_id=clock_id, corrected=True)
        self.tell(finding)
        summary.take_points(self.state, hit.rule.id)

    def summarise(self) -> None:
        """Make the next revision of the summary, and the contact that goes with it."""
        self.state.revision += 1
        self.summary = summary.of(self.book, self.state)
        self.contacts += (summary.contact_of(self.summary),)

    def introduce(self) -> None:
        """Tell of the conversation from the customer's side, now that its category is known."""
        contact = summary.first_contact(self.state)
        if contact is not None:
            self.contacts += (contact,)

    def finish(self, *, last: bool = False) -> Step:
        """Return what was gathered; ``last`` where the conversation is let go."""
        decided: tuple[Decided, ...] = ()
        if last or self.state.moved:
            decided = attainment.decide(self.book, self.state, last=last)
        return Step(
            self.state,
            self.findings,
            self.scores,
            self.summary,
            self.contacts,
            self.counted,
            self.book.limits,
            decided,
        )


def role_counts(state: State) -> Counts:
    """Return how many messages each role has written."""
    count = state.counts.get
    return Counts(count("customer", 0), count("agent", 0), count("bot", 0), count("system", 0))
