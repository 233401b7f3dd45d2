"""Completion for shells: the argument parser comes in, a script for bash, zsh or fish goes out.

It is written from the parser itself, so that no option can be missing.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish")
_PATHS = frozenset({"FILE", "DIRECTORY"})


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it is for, its options with their help, what may follow it, and whether that may be a path."""

    name: str
    help: str
    options: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    takes_path: bool


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write the script; it defines completion for the parser's program."""
    commands = tuple(_commands(parser))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](parser.prog, commands)


def _commands(parser: argparse.ArgumentParser) -> Iterator[Command]:
    # argparse has no public way to list what it knows.
    [group] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
    for name, command in group.choices.items():
        actions = [action for action in command._actions if action.help != argparse.SUPPRESS]
        yield Command(
            name=name,
            help=helps.get(name, ""),
            options=tuple((option, action.help or "") for action in actions for option in action.option_strings),
            words=tuple(str(word) for action in actions if not action.option_strings for word in action.choices or ()),
            takes_path=any(action.metavar in _PATHS for action in actions),
        )


def _bash(program: str, commands: tuple[Command, ...]) -> str:
    function = f"_{program.replace('-', '_')}"
    cases = "\n".join(
        f'        {one.name}) words="{" ".join([option for option, _ in one.options] + list(one.words))}"; '
        f"paths={'1' if one.takes_path else ''} ;;"
        for one in commands
    )
    names = " ".join(one.name for one in commands)
    return f"""\
# {program} completion for bash: eval "$({program} completion bash)"
{function}() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" words="{names} --help --version" paths="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${{COMP_WORDS[i]}}" in
{cases}
        *) continue ;;
        esac
        break
    done
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [[ -n $paths && $current != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}}
complete -o filenames -F {function} {program}
"""


def _quoted(text: str) -> str:
    return text.replace("%(default)s", "").replace("'", "").replace("[", "(").replace("]", ")").replace(":", " -")


def _zsh(program: str, commands: tuple[Command, ...]) -> str:
    function = f"_{program.replace('-', '_')}"
    names = " ".join(f"'{one.name}:{_quoted(one.help)}'" for one in commands)
    cases = "\n".join(
        f"    {one.name}) _arguments "
        + " ".join([*(f"'{option}[{_quoted(text)}]'" for option, text in one.options), *_zsh_rest(one)])
        + " ;;"
        for one in commands
    )
    return f"""\
#compdef {program}
# {program} completion for zsh: eval "$({program} completion zsh)"
{function}() {{
    local -a commands=({names})
    if (( CURRENT == 2 )); then _describe command commands; return; fi
    local command="${{words[2]}}"
    shift words; (( CURRENT-- ))
    case "$command" in
{cases}
    esac
}}
compdef {function} {program}
"""


def _zsh_rest(command: Command) -> list[str]:
    words = [f"'1:word:({' '.join(command.words)})'"] if command.words else []
    return words + (["'*:file:_files'"] if command.takes_path else [])


def _fish(program: str, commands: tuple[Command, ...]) -> str:
    lines = [f"# {program} completion for fish: {program} completion fish | source", f"complete -c {program} -f"]
    for one in commands:
        lines.append(f"complete -c {program} -n __fish_use_subcommand -a {one.name} -d '{_quoted(one.help)}'")
        seen = f"complete -c {program} -n '__fish_seen_subcommand_from {one.name}'"
        for option, text in one.options:
            kind = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            lines.append(f"{seen} {kind} -d '{_quoted(text)}'")
        lines += [f"{seen} -a '{' '.join(one.words)}'"] if one.words else []
        lines += [f"{seen} -F"] if one.takes_path else []
    return "\n".join(lines) + "\n"
