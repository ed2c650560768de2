"""The line of `examples/fits.crontab`, run as cron runs it."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest
from recipe_site import EXAMPLES, PROGRAM, Site

pytestmark = pytest.mark.slow
FIELDS = 5  # minute, hour, day, month, weekday


def crontab() -> tuple[dict[str, str], list[str]]:
    """Return the variables and the commands of the file; a sign of percent would end a command."""
    variables, commands = {}, []
    for line in (EXAMPLES / "fits.crontab").read_text(encoding="utf-8").splitlines():
        name, is_variable, value = line.partition("=")
        if line.startswith("#") or not line.strip():
            continue
        if is_variable and name.isidentifier():
            variables[name] = shlex.split(value)[0] if value != '""' else ""
        else:
            *times, command = line.split(None, FIELDS)
            assert len(times) == FIELDS
            assert "%" not in command
            commands.append(command)
    return variables, commands


def line_of(site: Site) -> list[str]:
    """Return how cron would start the line in the site's folder: a shell, and next to no environment."""
    variables, (command,) = crontab()
    assert set(variables) == {"FOLDER", "MAILTO", "PATH"}
    environment = [f"FOLDER={site.folder}", f"PATH={PROGRAM.parent}:/usr/bin:/bin", f"HOME={site.folder}"]
    return ["env", "-i", *environment, "/bin/sh", "-c", command]


def test_an_agent_of_cron_trains_what_is_ready_and_two_do_it_once(make_site: Callable[..., Site]) -> None:
    """The next one is started while the first still works; both end by themselves."""
    site = make_site()
    agents = [site.start(line_of(site)) for _ in range(2)]
    codes = [agent.wait(120) for agent in agents]
    assert set(codes) <= {0, 75}
    assert 0 in codes
    site.assert_each_done_once()
    assert "succeeded" in (site.folder / "fits.log").read_text(encoding="utf-8")
    assert site.call(line_of(site)).returncode == 75, "nothing is left"


def test_what_a_killed_agent_left_the_next_one_goes_on_with(make_site: Callable[..., Site]) -> None:
    """Kill -9 in the middle of a fit: ten minutes later the next agent resumes from its checkpoint."""
    site = make_site(slow=True)
    agent = site.start(line_of(site))
    site.await_slow_agent().kill()
    agent.wait(60)
    assert not site.is_done()
    assert site.call(line_of(site)).returncode == 0
    site.assert_each_done_once()
    site.assert_gone_on()
