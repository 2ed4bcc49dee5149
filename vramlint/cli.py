"""The command line: parses arguments, calls the linter, prints, and picks the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from vramlint import __version__
from vramlint.screen import say

USAGE_ERROR = 2
FINDINGS = 1
LEVELS = ("error", "warning", "info")
COLOURS = ("auto", "always", "never")


class DefaultGroup(click.Group):
    """A group whose command `check` need not be named: `vramlint train.yaml` is `vramlint check train.yaml`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `check` in front unless a command or an option of the group comes first."""
        if args and args[0] not in self.commands and args[0].partition("=")[0] not in GROUP_OPTIONS:
            args = ["check", *args]
        return super().parse_args(ctx, args)


GROUP_OPTIONS = ("-h", "--help", "--version", "--list-targets", "--list-models", "--list-rules", "--explain")


def _print_targets(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from vramlint.listing import targets_text  # noqa: PLC0415  # only where asked for

        say(targets_text())
        ctx.exit(0)


def _print_models(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from vramlint.listing import models_text  # noqa: PLC0415

        say(models_text())
        ctx.exit(0)


def _print_rules(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from vramlint.listing import rules_text  # noqa: PLC0415

        say(rules_text())
        ctx.exit(0)


def _explain(ctx: click.Context, _: click.Parameter, code: str | None) -> None:
    if code is not None:
        say(_explanation(code))
        ctx.exit(0)


def _explanation(code: str) -> str:
    from vramlint.listing import explanation  # noqa: PLC0415

    text = explanation(code)
    if text is None:
        raise click.UsageError(f"there is no rule {code!r} (--list-rules shows all)")
    return text


@click.group(cls=DefaultGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vramlint")
@click.option("--list-targets", is_flag=True, is_eager=True, expose_value=False, callback=_print_targets, help="All cards.")
@click.option("--list-models", is_flag=True, is_eager=True, expose_value=False, callback=_print_models, help="All models.")
@click.option("--list-rules", is_flag=True, is_eager=True, expose_value=False, callback=_print_rules, help="All rules.")
@click.option("--explain", metavar="CODE", is_eager=True, expose_value=False, callback=_explain, help="Explain a rule.")
def cli() -> None:
    """Tell whether a training run fits a GPU, and what to change if not.

    `check` is the default command: vramlint --target rtx3070 train.yaml
    """


def _shared(command: Any) -> Any:
    """The options that `check` and `estimate` have in common."""
    for option in reversed((
        click.argument("paths", nargs=-1, required=True, metavar="FILE…"),
        click.option(
            "--target", "targets", multiple=True, metavar="GPU", envvar="VRAMLINT_TARGET",
            help="A card, an instance or 24GiB@8.6; VRAMLINT_TARGET says it too.",
        ),
        click.option("--reserve", metavar="SIZE", help="Memory of the card to leave to others."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="What if: set a canonical key."),
        click.option("--model-config", type=click.Path(), metavar="FILE", help="The model's config.json."),
        click.option("--dialect", metavar="NAME", help="Take the files to be in this dialect."),
        click.option(
            "--companion", "companions", multiple=True, type=click.Path(), metavar="FILE",
            help="A DeepSpeed or accelerate config that the launch names.",
        ),
        click.option("--stack", multiple=True, metavar="LIBRARY=VERSION", help="Library versions: transformers=4.48,trl=0.13."),
        click.option("--config", type=click.Path(), metavar="FILE", help="This configuration, not the nearest."),
        click.option("--isolated", is_flag=True, help="Leave configurations, vramlint.lock and the Hugging Face cache out."),
        click.option("--hub", is_flag=True, help="Fetch the config.json of an unknown model, once; vramlint.lock keeps it."),
        click.option("--color", type=click.Choice(COLOURS), default="auto"),
    )):
        command = option(command)
    return command


@cli.command()
@_shared
@click.option("--output-format", type=click.Choice(["full", "concise", "json", "sarif", "github"]), help="Default: full.")
@click.option("--select", multiple=True, metavar="CODE", help="Only these rules (codes, their beginnings, names).")
@click.option("--ignore", multiple=True, metavar="CODE", help="Not these rules.")
@click.option("--rules", multiple=True, type=click.Path(), metavar="FILE", help="Rules of your own, besides ours.")
@click.option("--fail-on", type=click.Choice(LEVELS), help="Exit 1 from this severity on; default: error.")
@click.option("--strict", is_flag=True, help="Take warnings as errors.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever is found.")
@click.option("--fix", is_flag=True, help="Make the safe fixes.")
@click.option("--fix-only", is_flag=True, help="Make them, and report nothing.")
@click.option("--unsafe-fixes", is_flag=True, help="With --fix or --diff: the unsafe ones too.")
@click.option("--diff", is_flag=True, help="Show what --fix would change, and change nothing; exit 1 if it would.")
@click.option("--add-ignore", is_flag=True, help="Put a comment beside each finding that takes it back.")
@click.option("--reason", default="", metavar="TEXT", help="With --add-ignore: the reason to write there.")
@click.option("--stdin-filename", type=click.Path(), metavar="NAME", help="What the file read from - is called.")
@click.option("--force-exclude", is_flag=True, hidden=True)
@click.option("-v", "--verbose", is_flag=True, help="Say which files were passed over.")
def check(**options: Any) -> None:
    """Check training configs against a GPU."""
    from vramlint.command import run_check  # noqa: PLC0415  # --help needs no rooms

    raise SystemExit(run_check(options))


@cli.command()
@_shared
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text")
def estimate(**options: Any) -> None:
    """Show where the memory goes."""
    from vramlint.command import run_estimate  # noqa: PLC0415

    raise SystemExit(run_estimate(options))


@cli.command()
@_shared
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text")
def targets(**options: Any) -> None:
    """Show on which cards a run fits, and what would make it fit."""
    from vramlint.command import run_targets  # noqa: PLC0415

    raise SystemExit(run_targets(options))


@cli.command()
@click.argument("path", metavar="FILE")
@click.argument("recording", metavar="RUN.jsonl")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="What if: set a canonical key.")
@click.option("--model-config", type=click.Path(), metavar="FILE", help="The model's config.json.")
@click.option("--dialect", metavar="NAME", help="Take the file to be in this dialect.")
@click.option(
    "--companion", "companions", multiple=True, type=click.Path(), metavar="FILE",
    help="A DeepSpeed or accelerate config that the launch names.",
)
@click.option("--config", type=click.Path(), metavar="FILE", help="This configuration, not the nearest.")
@click.option("--isolated", is_flag=True, help="Leave configurations and the Hugging Face cache out.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text")
@click.option("--color", type=click.Choice(COLOURS), default="auto")
def compare(**options: Any) -> None:
    """Hold a run that vramlint.monitor recorded against the estimate; exit 1 if they differ."""
    from vramlint.command import run_compare  # noqa: PLC0415

    raise SystemExit(run_compare(options))


@cli.command()
@click.argument("code")
def explain(code: str) -> None:
    """Explain a rule."""
    say(_explanation(code))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    try:
        cli.main(args=list(argv) if argv is not None else None, prog_name="vramlint", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE_ERROR
    except click.Abort:
        return 130
    return 0
