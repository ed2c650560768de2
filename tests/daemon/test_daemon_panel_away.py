"""A fit that was claimed where its panel is not goes back unharmed, and its plan is paused there."""

from __future__ import annotations

from pathlib import Path

from daemon_samples import accept, all_events, settings_in

from daemon.host import Host
from store import open_store


def test_a_fit_without_its_panel_is_given_back_and_its_plan_paused_here(
    tmp_path: Path, sqlite_url: str
) -> None:
    """Nobody looked for the panel before the claim: the fit has not failed, and is not claimed again here."""
    with open_store(sqlite_url) as store:
        plan = accept(store)
        host = Host(settings_in(tmp_path), store)
        try:
            for _ in range(3):
                host.turn()
            assert not host.dispatcher.running
        finally:
            host.close()
        (fit,) = store.reading.fits()
        assert fit.state == "ready"
        assert len(all_events(store, "FitClaimed")) == 1
        (released,) = all_events(store, "FitReleased")
        assert "its panel is not on this host" in released.data["cause"]
        (pause,) = store.reading.pauses()
        assert (pause.plan, pause.host, pause.actor) == (
            plan,
            host.identity.host,
            f"daemon@{host.identity.host}",
        )
