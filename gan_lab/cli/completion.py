"""The command `completion`: a script that lets the shell complete `gan_lab COMMAND key=value`."""

import textwrap

from gan_lab.cli.arguments import keys_of, parse_options, positional_of
from gan_lab.cli.commands import COMMANDS, Completion
from gan_lab.config import catalogue
from gan_lab.errors import ConfigError

_WORDS, _FOLDERS = 'found=$(compgen -W "{}" -- "$word")', '$(compgen -d -- "$word")'
# bash splits a word at `=` where COMP_WORDBREAKS holds it; then the reply is the value alone.
_BASH = """\
_gan_lab() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} key="" head="" found
    if [ "$word" = "=" ]; then key=$before word=""
    elif [ "$before" = "=" ]; then key=${{COMP_WORDS[COMP_CWORD-2]}}
    elif [[ $word == *=* ]]; then key=${{word%%=*}} head="${{word%%=*}}=" word=${{word#*=}}; fi
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then found=$(compgen -W "{commands}" -- "$word")
    elif [ -n "$key" ]; then
        case ${{COMP_WORDS[1]}}:$key in
{values}
        esac
    else
        case ${{COMP_WORDS[1]}} in
{keys}
        esac
    fi
    while IFS= read -r word; do [ -n "$word" ] && COMPREPLY+=("$head$word"); done <<< "$found"
    if [[ ${{COMPREPLY[0]}} == *= ]]; then compopt -o nospace 2> /dev/null; fi
    return 0
}}
complete -F _gan_lab gan_lab
"""
_ZSH = """\
#compdef gan_lab
_gan_lab() {{
    if (( CURRENT == 2 )); then compadd -- {commands}; return; fi
    if compset -P '*='; then
        case ${{words[2]}}:${{words[CURRENT]%%=*}} in
{values}
        esac
        return
    fi
    case ${{words[2]}} in
{keys}
    esac
}}
compdef _gan_lab gan_lab
"""
# Of a shell: its script, the indent of a case, how it offers values, keys, and folders beside them.
_SHELLS = {
    "bash": (_BASH, 12, _WORDS, _WORDS, "; found+=$'\\n'" + _FOLDERS, "found=" + _FOLDERS),
    "zsh": (_ZSH, 8, "compadd -- {}", "compadd -S '' -- {}", "; _files -/", "_files -/"),
}


def completion(arguments: list[str]) -> int:
    """Print the script for bash or zsh."""
    shell = parse_options(Completion, arguments).shell
    if shell not in _SHELLS:
        raise ConfigError(f"completion of {shell} is unknown; take one of {', '.join(_SHELLS)}")
    template, indent, value, key, and_folders, folders = _SHELLS[shell]
    rows = [f"{k}) {value.format(' '.join(words))} ;;" for k, words in sorted(_values().items())]
    places = (f for command in COMMANDS.values() for f in keys_of(command).values())
    names = sorted({f.name for f in places if f.metadata["display"] in ("DIR", "FILE")})
    rows += [f"*:{name}) {folders} ;;" for name in names]
    cases = []
    for name, command in COMMANDS.items():
        words = positional_of(command)
        takes_folders = words is not None and "DIR" in words.metadata["positional"]
        line = key.format(" ".join(_keys(name))) + (and_folders if takes_folders else "")
        cases.append(f"{name}) {line} ;;")
    values, keys = (textwrap.indent("\n".join(lines), " " * indent) for lines in (rows, cases))
    print(template.format(commands=" ".join(COMMANDS), values=values, keys=keys), end="")
    return 0


def _keys(name: str) -> list[str]:
    """Return the words that a command takes: its keys with `=`, and names where it has some."""
    keys = [f"{key}=" for key in keys_of(COMMANDS[name])]
    if name in ("train", "fork"):
        keys += [f"{each.name}=" for each in catalogue.keys("train")]
        for group in catalogue.groups():
            if catalogue.choices(group) == ["default"]:
                keys += [f"{group}.{each.name}=" for each in catalogue.keys(group, "default")]
            else:
                keys.append(f"{group}=")
    if name in ("experiment", "reproduce"):
        keys += catalogue.choices("experiment")
    return [*dict.fromkeys(keys), *(_SHELLS if name == "completion" else ())]


def _values() -> dict[str, list[str]]:
    """Return "command:key" -> the values that the shell offers; * is any command."""
    values = {f"*:{group}": catalogue.choices(group) for group in catalogue.groups()}
    values["*:device"] = ["auto", "cpu", "cuda", "mps"]
    for command, fields in COMMANDS.items():
        for name, field in keys_of(fields).items():
            if words := field.metadata["words"]:
                values[f"{command}:{name}"] = list(words)
            elif field.type in (bool, bool | None):
                values[f"{command}:{name}"] = ["true", "false"]
    return values
