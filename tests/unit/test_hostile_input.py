"""Files, mappings and templates that were written to cost: what they may cost is counted, not timed."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
import yaml

from alerts.config import AlertsConfigError
from alerts.config import parse as parse_alerts
from stream import wire, yamltext
from stream.core import settling
from stream.core.rules.source import Report
from stream.core.rules.why import RULE_PLACES, render_why
from stream.packs.document import MAX_DEPTH, MAX_NODES, parse_document
from stream.runtime.http import split
from stream.wire import InvalidMessage, Reason, mapping
from stream.wire.mapping_search import MAX_STEPS, Search

# Files ----------------------------------------------------------------------------------------------------

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


def faults(text: str) -> list[str]:
    return [problem.text for problem in yamltext.parse(text).problems]


def test_aliases_cannot_multiply_a_configuration() -> None:
    """Twelve lines that stand for 9^12 values: the walk stops at its bound."""
    parsed = yamltext.parse(BOMB)
    assert [problem.text for problem in parsed.problems] == [f"more than {yamltext.MAX_NODES} values"]
    assert len(parsed.lines) <= yamltext.MAX_NODES + 20


def test_an_alias_of_itself_ends_at_the_bound_of_depth() -> None:
    assert faults("a: &a [*a]") == [f"nested deeper than {yamltext.MAX_DEPTH}"]


@pytest.mark.parametrize("text", ["[" * 20_000, "{a: " * 20_000, "- " * 50_000, "? " * 50_000])
def test_nesting_beyond_reading_is_refused(text: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(("no YAML", "nested deeper"))


@pytest.mark.parametrize(
    "number", ["1" * 65, "0x" + "f" * 1_000, "1" + ":59" * 1_000, "0b" + "1" * 9_000, "." + "9" * 99]
)
def test_a_number_without_end_is_refused_before_it_is_made(number: str) -> None:
    assert faults(f"kafka: {{partitions: {number}}}") == [f"a number of over {yamltext.MAX_DIGITS} digits"]


def test_numbers_of_ordinary_length_stay_what_they_are() -> None:
    assert yamltext.parse("a: 1234567890123456789\nb: -0.5\nc: 0x1f").value == {
        "a": 1234567890123456789,
        "b": -0.5,
        "c": 31,
    }


@pytest.mark.parametrize(
    "text", ["a: !!python/object/apply:os.system [x]", "a: !x 1", "<<: {a: 1}\n<<: {a: 2}"]
)
def test_what_is_not_plain_data_is_refused(text: str) -> None:
    assert faults(text)


def test_a_configuration_larger_than_its_bound_is_not_parsed() -> None:
    assert faults("x" * (yamltext.MAX_BYTES + 1)) == [f"larger than {yamltext.MAX_BYTES} bytes"]


def test_alerts_section_of_a_bomb_is_refused_with_its_file(tmp_path: Any) -> None:
    with pytest.raises(AlertsConfigError):
        parse_alerts(
            {
                "receivers": {
                    "r": {"type": "webhook", "url": "https://x", "retry": {"first_delay": "9" * 5_000 + "s"}}
                }
            },
            source="y",
            env={},
        )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (BOMB, "anchors"),
        ("- " * (MAX_DEPTH + 1) + "x", "nested deeper"),
        ("[" + "x," * MAX_NODES + "x]", "more than"),
        ("a: 1\na: 2", "duplicate key"),
        ("a: !!int 7", "tags"),
        ("[" * 200_000, "nested deeper"),
    ],
)
def test_a_pack_file_is_bounded_in_depth_values_and_kinds(text: str, fault: str) -> None:
    report = Report("x.yaml")
    parse_document(report, text.encode())
    assert any(fault in str(problem) for problem in report.problems)


def test_the_loader_of_packs_builds_no_more_nodes_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are taken from the parser one by one: behind the bound it is not asked again."""
    asked = 0
    parse = yaml.parse

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal asked
        for event in parse(*args, **kwargs):
            asked += 1
            yield event

    monkeypatch.setattr(yaml, "parse", counted)
    parse_document(Report("x.yaml"), b"[" * 1_000_000)
    assert asked <= MAX_DEPTH + 5


# Mappings -------------------------------------------------------------------------------------------------

FILE = """
mapping: 1
events:
  - type: tick
    each: {each}
    where: {where}
    fields:
      at: item.at || payload.at
"""


def mapped(each: str, where: str, payload: Any) -> list[Any]:
    text = FILE.format(each=json.dumps(each), where=json.dumps(where))
    return mapping.parse(text, source="m.yaml").apply(json.dumps(payload).encode())


@pytest.mark.parametrize(
    ("each", "where", "payload"),
    [
        ("items[].payload.items[]", "`true`", {"items": [{"payload": {"items": [0] * 400}}] * 400}),
        ("items", "payload.items != payload.copy", {"items": [[0] * 9] * 4_000, "copy": [[0] * 9] * 4_000}),
        ("items", "contains(payload.items, payload.items)", {"items": [[0] * 90] * 900}),
        ("items", "length(to_string(payload)) > `0`", {"items": ["x" * 99] * 2_000}),
        ("items", "join(payload.s, payload.items)", {"s": "x" * 99_000, "items": ["x"] * 99_000}),
        ("items", "sort_by(payload.items, &x)[0].x == `1`", {"items": [{"x": 2, "at": 1}] * 3_000}),
    ],
)
def test_an_expression_that_multiplies_is_given_up_after_its_steps(
    each: str, where: str, payload: Any
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        mapped(each, where, payload)
    assert caught.value.reason is Reason.NOT_MAPPED
    assert f"{MAX_STEPS} steps" in caught.value.detail


@pytest.mark.parametrize(
    "expression",
    ["|".join(["[@,@]"] * 9), "[@,@][].[@,@][]|" * 40 + "@", "[[@,@,@,@,@,@,@,@,@],[@,@,@,@,@,@,@,@]]"],
)
def test_an_expression_that_doubles_itself_is_refused_when_it_is_compiled(expression: str) -> None:
    with pytest.raises(mapping.MappingError, match=r"may repeat a payload|JMESPath"):
        mapped(expression, "`true`", {})


@pytest.mark.parametrize("expression", ["!" * 900 + "a", "a" * 1_001, "[" * 900])
def test_an_expression_too_deep_or_too_long_is_a_fault_with_its_line(expression: str) -> None:
    with pytest.raises((mapping.MappingError, InvalidMessage)) as caught:
        mapped(expression, "`true`", {"at": 7})
    assert "m.yaml:5" in str(caught.value) or "does not fit" in str(caught.value)


def test_a_thousand_events_from_one_payload_stay_far_below_the_bound() -> None:
    payload = {"items": [{"at": n, "name": "x" * 50, "tags": ["a", "b"]} for n in range(1_000)]}
    assert len(mapped("items", "item.name && contains(item.tags, 'a')", payload)) == 1_000


@pytest.mark.parametrize("name", mapping.shipped())
def test_shipped_mappings_need_a_hundredth_of_what_they_may(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Search] = []

    class Seen(Search):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            made.append(self)

    monkeypatch.setattr("stream.wire.mapping.Search", Seen)
    payload = {"event": "message_created", "content": "x" * 5_000, "messages": [{"a": 1}] * 200, "sender": {}}
    with suppress(InvalidMessage):  # half of what a real one has
        mapping.load(name).apply(json.dumps(payload).encode())
    assert 0 < made[0].steps < MAX_STEPS / 100


# Templates, requests, records -----------------------------------------------------------------------------


def test_a_template_is_filled_once_whatever_a_customer_writes() -> None:
    value = "{evidence}{terms}{0}{evidence.__class__}%s" * 100
    template = "".join(f"{{{name}}}" for name in RULE_PLACES) * 5
    filled = render_why(template, dict.fromkeys(RULE_PLACES, value))
    assert filled == value * len(RULE_PLACES) * 5


def test_a_body_of_nothing_but_brackets_is_refused() -> None:
    for body in (b"[" * 100_000, b"[" + b"{" * 100_000):
        with pytest.raises(ValueError, match="not a JSON array of events"):
            split(body, 10)
    body = b'{"a":' * 100_000
    assert split(body, 10) == [body]  # refused as an event, by its depth


CONTACT = {
    "customer_id": "u-1", "conversation_id": "c-1", "revision": 0, "shop_id": None, "category": None,
    "opened_at": "2026-11-11T20:00:00+08:00", "closed_at": None, "outcome": None, "rating": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (json.dumps(CONTACT).encode().replace(b"u-1", b"u\xb4"), Reason.NOT_UTF8),
        (b'{"customer_id":' + b"[" * 5_000 + b"}", Reason.TOO_DEEP),
        (json.dumps(CONTACT | {"revision": 10**20}).encode(), Reason.BAD_VALUE),
        (json.dumps(CONTACT | {"source_partition": -1}).encode(), Reason.BAD_VALUE),
        (json.dumps(CONTACT | {"closed_at": 2**62}).encode(), Reason.BAD_TIME),
        (json.dumps(CONTACT | {"opened_at": -(2**62)}).encode(), Reason.BAD_TIME),
        (json.dumps(CONTACT | {"summary": {"clocks": 7}}).encode(), Reason.WRONG_TYPE),
        (json.dumps(CONTACT | {"summary": 7}).encode(), Reason.WRONG_TYPE),
    ],
)
def test_a_contact_that_would_break_its_reader_later_is_refused_at_once(raw: bytes, reason: Reason) -> None:
    with pytest.raises(InvalidMessage) as caught:
        wire.read_contact(raw)
    assert caught.value.reason is reason


def test_a_close_before_its_opening_still_has_the_day_it_was_opened_on() -> None:
    opened = 1_794_398_403_120
    (day,) = settling.days_of(opened, opened)
    assert list(settling.days_of(opened, opened - 86_400_000)) == [day]
