"""People are told out of the hardened service, and `doctor` sees it as it is."""

from __future__ import annotations

import json
from typing import Any

from booted_host import STATE, UNIT, TrainingHost

TOLD = STATE / "told"


def findings(host: TrainingHost) -> tuple[int, dict[str, dict[str, str]]]:
    """How `doctor` ends for the daemon's account, and what it found, by name."""
    done = host.command("doctor", "--json", "--config", "/etc/trainwright/trainwright.toml")
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, {one["name"]: one for one in document["findings"]}


def test_people_are_told_out_of_the_sandbox(host: TrainingHost) -> None:
    """The command runs inside the unit's walls, and the journal has what it was told, by its kind."""
    host.configure(notify_command=["/bin/sh", "-c", f"cat >> {TOLD}"])
    host.start()
    host.drop("broken", ())

    def told() -> list[dict[str, Any]]:
        text = host.machine.call("cat", TOLD).stdout
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    (notice,) = host.await_that(told, "word to people")
    (event,) = host.events("PlanRejected")
    assert (notice["id"], notice["kind"], notice["seq"]) == (event["id"], "plan_rejected", event["seq"])
    assert "broken" in notice["sentence"]
    (line,) = host.journal(f"--unit={UNIT}", "KIND=plan_rejected")
    assert (line["EVENT"], line["ID"], line["PRIORITY"]) == ("people were told", event["id"], "6")


def test_doctor_finds_the_service_in_order(host: TrainingHost) -> None:
    """Asked as the daemon's account: the unit runs, its folders and its log are its own, nothing fails."""
    _, found = findings(host)
    assert (found["unit"]["state"], found["unit"]["fix"]) == ("warn", f"systemctl enable {UNIT}")
    host.systemctl("enable")
    code, found = findings(host)
    assert code == 0, found
    assert found["unit"]["words"] == f"{UNIT} is active (running)"
    names = ("account", "inbox", "results", "output", "disk", "daemon", "command")
    troubles = [found[name] for name in names if found[name]["state"] != "ok"]
    assert troubles == []


def test_doctor_says_how_to_start_a_service_that_is_off(host: TrainingHost) -> None:
    """With the command to paste."""
    host.stop()
    _, found = findings(host)
    assert (found["unit"]["state"], found["unit"]["fix"]) == ("warn", f"systemctl start {UNIT}")
    assert found["daemon"]["state"] == "warn"
