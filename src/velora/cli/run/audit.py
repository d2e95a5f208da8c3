"""The job of ``velora audit``: what a policy's network does, as a table, a page and JSON."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from omegaconf import DictConfig

from velora.audit import report
from velora.audit.auditing import audit
from velora.audit.findings import Audit
from velora.audit.page import audit_page
from velora.checkpoint.choice import choose_checkpoints
from velora.cli.command.arguments import written
from velora.cli.command.given import given_words
from velora.cli.run.bar import Bar
from velora.cli.run.places import check_place, writing
from velora.cli.run.saved_agent import given_checkpoint, load_agent, open_environment
from velora.core import disk, small_json
from velora.core.errors import SettingError
from velora.core.terminal import say
from velora.export.wiring import wiring_of
from velora.training.evaluation import tell_limit


def run_audit(cfg: DictConfig, run_dir: Path) -> float:
    """Audit an agent; print the table, write the page and the numbers, and print a last line of JSON.

    Of a run of several seeds there is a page of each, with the seed in its name.

    Args:
        cfg: settings of the shape of ``conf/audit.yaml``.
        run_dir: not used; nothing but the page and its numbers are written.

    Returns:
        The mean return of the last agent, as it is.

    Raises:
        VeloraError: if the checkpoint can't be loaded, its policy can't be described, or the page can't be written.
    """
    given, here = given_checkpoint(cfg)
    out = here / (cfg.out or "audit.html")
    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"out: expected a page that ends in .html, got {cfg.out}; its numbers lie beside it")
    for name in ("episodes", "max_steps"):
        if cfg[name] < 1:
            raise SettingError(f"{name}: expected at least 1, got {cfg[name]}")
    chosen, pages, earned = choose_checkpoints(given), list[dict[str, object]](), 0.0
    for path in chosen:
        agent, seed = load_agent(cfg, here / path)
        own = out if len(chosen) == 1 else out.with_stem(f"{out.stem}-seed{seed}")
        for page in (own, own.with_suffix(".json")):
            check_place("out", page)
        env, _ = open_environment(cfg, path, agent, render=None)
        try:
            tell_limit(env, cfg.max_steps, setting="max_steps")
            with Bar() as bar:
                settings = {"episodes": cfg.episodes, "seed": cfg.seed, "max_steps": cfg.max_steps}
                found = audit(agent, env, **settings, progress=bar)
        finally:
            env.close()
        place = str(cfg.checkpoint.path if len(chosen) == 1 else path)
        command = ["velora audit", written("checkpoint", place), *given_words("checkpoint.path", "out")]
        numbers = _write(own, audit_page(found, wiring_of(agent), command=" ".join(command)), found)
        width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
        say(f"{'checkpoint':<16}{path}\n{report.table(found, width=width)}")
        shown, beside = (one.relative_to(here) if one.is_relative_to(here) else one for one in (own, numbers))
        say(f"\npage    {shown} ({own.stat().st_size / 1e6:.2f} MB); open it in a browser\nnumbers {beside}\n")
        earned = float(found.returns.mean())
        pages.append({"page": str(own), "numbers": str(numbers), "checkpoint": str(path), "return": earned})
    say(json.dumps(pages[0] if len(pages) == 1 else {"pages": pages}) + "\n")
    return earned


def _write(page: Path, text: str, found: Audit) -> Path:
    numbers = page.with_suffix(".json")
    with writing("out", page):
        disk.write_text(page, text)
    with writing("out", numbers):
        small_json.write(numbers, report.document(found))
    return numbers
