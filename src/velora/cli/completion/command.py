"""The command ``velora completion``: print the script that teaches a shell what can follow ``velora``."""

from __future__ import annotations

from collections.abc import Sequence

from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.core.terminal import say

HELP = """\
Complete commands, groups, options, settings and paths with the Tab key.

  source <(velora completion bash)           # now, and in ~/.bashrc for every shell
  source <(velora completion zsh)            # in ~/.zshrc, after compinit
  velora completion fish | source            # in ~/.config/fish/config.fish

A word takes about a second, as the settings are composed from their files.
"""

_BASH = r"""
_velora() {
    local line=${COMP_LINE:0:COMP_POINT} word
    local typed=${line##* } current=${COMP_WORDS[COMP_CWORD]}
    [[ $current == [=:] ]] && current=""
    local before=${typed%"$current"}    # bash takes what follows = or : for a word of its own
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("${word#"$before"}")
    done < <(velora completion words "$line" 2>/dev/null)
}
complete -o nospace -F _velora velora
"""
_ZSH = r"""
_velora() {
    local -a found
    found=("${(@f)$(velora completion words "$BUFFER[1,CURSOR]" 2>/dev/null)}")
    [[ -n $found ]] && compadd -Q -S '' -- "${found[@]}"
}
compdef _velora velora
"""
_FISH = r"""
complete -c velora -f -a '(velora completion words (commandline -cp) 2>/dev/null | string trim -r)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(words: Sequence[str]) -> int:
    """Run ``velora completion`` and return its exit code.

    ``velora completion words "<line>"`` is what the scripts call: it prints the words that can stand at the end of a
    command line, one on each line, those that are complete with a space after them.

    Raises:
        SettingError: if there is no script for the shell.
    """
    if not words or any(word in ("-h", "--help") for word in words[:1]):
        say(HELP)
        return 0
    shell, *rest = words
    if shell == "words":
        from velora.cli.completion.candidates import candidates

        say("".join(f"{word}\n" for word in candidates(" ".join(rest))))
        return 0
    if shell not in SCRIPTS:
        hint = did_you_mean(shell, SCRIPTS, f"expected one of {', '.join(SCRIPTS)}")
        raise SettingError(f"completion: {shell}: no such shell; {hint}")
    say(SCRIPTS[shell].lstrip("\n"))
    return 0
