"""``yanshao evaluate``: how good detection is on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from stream.commands.common import (
    as_json,
    fail,
    further_packs,
    print_json,
    print_table,
    progress,
    settings_of,
)

if TYPE_CHECKING:
    from stream.evaluate.datasets import Dataset, Field
    from stream.evaluate.report import Mistake, Row
    from stream.evaluate.trial import Trial
    from stream.models import Learned

_SCORERS: Final = ("learned", "plain", "snownlp", "terms")
_DEFAULT: Final = ("learned", "snownlp", "terms")
# SnowNLP's classifier knows good from bad and nothing finer: its anger and abuse are the terms'.
_ONLY: Final[dict[str, Field]] = {"snownlp": "dissatisfaction"}

_EPILOG = """\b
Examples:
  yanshao evaluate chats.jsonl posts.jsonl
  yanshao evaluate chats.jsonl --errors 20 --chart recall.svg
  yanshao evaluate chats.jsonl --model mine --scorer learned --json

\b
Data, one JSON object a line:
  {"dialogue_id", "turns": [{"role", "text", "satisfaction": 0|1|2}], "overall": 0|1|2}
  {"dialogue_id", "turns": [{"role", "text"}], "satisfaction": -2.0 ... 2.0}
  {"text", "emotion": "angry" ...}
  {"text", "offensive": 0|1}
"""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog=_EPILOG)
@click.argument("data", nargs=-1, required=True, type=_FILE)
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    type=click.Choice(_SCORERS),
    default=_DEFAULT,
    show_default=True,
    help="Whose scores; may be repeated.",
)
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A directory made by `yanshao train`, in place of the shipped model.",
)
@click.option(
    "--part",
    type=click.Choice(["all", "tenth", "rest"]),
    default="all",
    show_default=True,
    help="The tenth that `train --without-tenth` leaves out, or the rest.",
)
@click.option("--resamples", default=200, show_default=True, help="Draws of whole dialogues for the ranges.")
@click.option("--errors", "errors", default=0, help="Show the N worst mistakes of each task, masked.")
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), help="Draw precision-recall (SVG).")
@further_packs
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    data: tuple[Path, ...],
    scorers: tuple[str, ...],
    model: Path | None,
    part: str,
    resamples: int,
    errors: int,
    chart: Path | None,
    packs: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Measure detection on labelled chats and posts, through the engine as it ships.

    Dialogues are replayed (their times are made: the sources have none), posts scanned. Ranges hold 19 of
    20 resamples of whole dialogues.
    """
    from stream.evaluate import chart as charts  # noqa: PLC0415
    from stream.evaluate import report  # noqa: PLC0415
    from stream.evaluate.datasets import DataError, read  # noqa: PLC0415

    try:
        datasets = [read(path, part) for path in data]  # type: ignore[arg-type]  # click checked the choice
    except (OSError, DataError) as error:
        fail(str(error))
    trials = _trials(ctx, datasets, scorers, model, packs)
    rows = [
        row
        for dataset in datasets
        for place in range(len(dataset.labels))
        for scorer in scorers
        if (row := report.row(dataset.name, scorer, trials[dataset.name, scorer].answers[place], resamples))
    ]
    found = _mistakes(datasets, trials, scorers[0], errors) if errors else []
    alarms = {dataset.name: _alarms(trials[dataset.name, scorers[0]]) for dataset in datasets}
    if chart is not None:
        panels = [
            charts.Panel(
                f"{dataset.name}: {question.name}"[:40],
                {scorer: trials[dataset.name, scorer].answers[place] for scorer in scorers},
            )
            for dataset in datasets
            for place, question in enumerate(dataset.labels)
        ]
        chart.write_text(charts.draw(panels), encoding="utf-8")
    if as_json:
        print_json(_document(rows, alarms, found))
    else:
        _print(rows, alarms, found)


def _trials(
    ctx: click.Context,
    datasets: list[Dataset],
    scorers: tuple[str, ...],
    model: Path | None,
    packs: tuple[str, ...],
) -> dict[tuple[str, str], Trial]:
    from stream import models  # noqa: PLC0415
    from stream.commands.common import knowledge_of  # noqa: PLC0415
    from stream.evaluate import trial  # noqa: PLC0415
    from stream.runtime.knowledge import of_book  # noqa: PLC0415

    learned: Learned | None = None
    if model is not None:
        try:
            learned = models.read_model(model)
        except models.ModelMissingError as error:
            fail(str(error))
    book = knowledge_of(settings_of(ctx), packs).book
    trials = {}
    with progress(sum(len(one.rows) for one in datasets) * len(scorers), "evaluate") as advance:
        for scorer in scorers:
            knowledge = of_book(book, scorer=scorer, learned=learned)
            for dataset in datasets:
                trials[dataset.name, scorer] = trial.run(dataset, knowledge, advance, _ONLY.get(scorer))
    return trials


def _mistakes(
    datasets: list[Dataset], trials: dict[tuple[str, str], Trial], scorer: str, count: int
) -> list[Mistake]:
    from stream.core.evidence import mask_plain  # noqa: PLC0415
    from stream.evaluate import report  # noqa: PLC0415

    return [
        mistake
        for dataset in datasets
        for answers in trials[dataset.name, scorer].answers
        for mistake in report.mistakes(answers, count, [mask_plain(label.text) for label in answers.labels])
    ]


def _alarms(trial: Trial) -> list[dict[str, Any]]:
    """Return findings of medium severity and above for every hundred messages of whom they are about."""
    return [
        {
            "kind": kind,
            "subject": subject,
            "alarms": count,
            "per_100": round(100 * count / max(1, trial.messages.get(subject, 0)), 3),
        }
        for (kind, subject), count in sorted(trial.alarms.items())
        if trial.messages.get(subject)
    ]


def _document(
    rows: list[Row], alarms: dict[str, list[dict[str, Any]]], found: list[Mistake]
) -> dict[str, Any]:
    return {
        "figures": [
            {
                "dataset": row.dataset,
                "task": row.task,
                "scorer": row.scorer,
                "rows": row.figures.rows,
                "positive": row.figures.positive,
                "auc": round(row.figures.auc, 4),
                "auc_range": [round(value, 4) for value in row.auc_range],
                "ap": round(row.figures.ap, 4),
                "ap_range": [round(value, 4) for value in row.ap_range],
                "precision_at_recall_half": round(row.figures.precision, 4),
                "calibration_error": round(row.figures.error, 4),
                "reliability": [one._asdict() for one in row.figures.bins],
            }
            for row in rows
        ],
        "alarms": alarms,
        "errors": [mistake._asdict() for mistake in found],
    }


def _print(rows: list[Row], alarms: dict[str, list[dict[str, Any]]], found: list[Mistake]) -> None:
    print_table(
        ("data", "task", "scorer", "rows", "true", "AUC", "(range)", "AP", "(range)", "P@R.5", "ECE"),
        (
            (
                row.dataset,
                row.task,
                row.scorer,
                str(row.figures.rows),
                f"{row.figures.positive / row.figures.rows:.0%}",
                f"{row.figures.auc:.3f}",
                "{:.3f}-{:.3f}".format(*row.auc_range),
                f"{row.figures.ap:.3f}",
                "{:.3f}-{:.3f}".format(*row.ap_range),
                f"{row.figures.precision:.3f}",
                f"{row.figures.error:.3f}",
            )
            for row in rows
        ),
    )
    lines = [
        (name, one["kind"], one["subject"], str(one["alarms"]), f"{one['per_100']:.2f}")
        for name, some in alarms.items()
        for one in some
    ]
    if lines:
        print_table(
            ("data", "kind", "about", "alarms", "per 100 messages"), lines, title="Alarms, medium and above"
        )
    if found:
        print_table(
            ("task", "item", "score", "true", "text"),
            [
                (one.task, one.item, f"{one.score:.3f}", "yes" if one.positive else "no", one.text)
                for one in found
            ],
            title="Worst mistakes",
        )
