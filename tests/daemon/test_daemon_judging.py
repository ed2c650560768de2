"""Plans are judged in a limited child, which costs the daemon nothing and a bad plan only itself."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from daemon_samples import FakeClock, await_that, document, job, settings_in, write_data

from daemon.admission import completed, family_entry
from daemon.judging import LOSSES_MAX, Judgement, Judges
from daemon.judging_answers import Rejection, decoded, encoded_plan
from daemon.judging_questions import JUDGED_BY, TRY_AGAIN, settings_of, settings_words
from daemon.judging_server import Asked, Server
from daemon.settings import Settings
from daemon.survey import describe
from daemon.surveying import description_of, question_of
from executors.process import SECRETS
from store import Plan, PlanRejected, complete_plan
from store.plan_document import parse_plan_text

GOLDEN = sorted((Path(__file__).parents[1] / "golden").rglob("master_training_plan.json"))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of two symbols."""
    return write_data(tmp_path_factory.mktemp("data"), rows=200)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Settings:
    """An installation over that data."""
    more = {"judging_memory_bytes": 2**31, "family_labels": {"LightGBM": ["bigmem"]}}
    return settings_in(tmp_path_factory.mktemp("host"), data_dir=data_dir, **more)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the judges."""
    return FakeClock()


@pytest.fixture(scope="module")
def warm(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judges]:
    """A warm process for all tests of this module, which may well lose it."""
    with closing(Judges(settings, tmp_path_factory.mktemp("judges") / "private")) as made:
        made.start()
        yield made


@pytest.fixture
def judges(warm: Judges, settings: Settings, clock: FakeClock) -> Judges:
    """The warm process, by a clock of the test's own."""
    warm.settings, warm.clock, warm.trouble = settings, clock, None
    return warm


Ask = Callable[[bytes | str], Judgement]


@pytest.fixture
def ask(judges: Judges) -> Iterator[Ask]:
    """Hands a text over as the copy of a plan."""
    asked: list[Judgement] = []

    def hand_over(content: bytes | str) -> Judgement:
        copy = judges.place / f"{len(asked)}.json"
        copy.write_bytes(content if isinstance(content, bytes) else content.encode())
        asked.append(judges.judge(copy, source="inbox/plan"))
        return asked[-1]

    yield hand_over
    for one in asked:
        one.close()
    assert list(judges.place.iterdir()) == []


def said(judgement: Judgement) -> Plan | Rejection:
    """What is said in the end."""
    found: list[Plan | Rejection] = []

    def asked() -> bool:
        answer = judgement.answer()
        found.extend([] if answer is None else [answer])
        return bool(found)

    await_that(asked, "answer")
    return found[0]


def child_of(judgement: Judgement) -> psutil.Process:
    """The child that judges this one."""
    life = judgement._life
    assert life is not None
    await_that(lambda: life.code() is None and life.forked, "child")
    return psutil.Process(life.pid)


def stopped_server(judges: Judges) -> psutil.Process:
    """The warm process, stopped: whatever it is asked for waits."""
    assert judges.pid is not None
    server = psutil.Process(judges.pid)
    server.suspend()
    return server


def test_a_judged_plan_is_the_one_completed_here(settings: Settings, ask: Ask) -> None:
    """The plan that comes back is, field by field, what completing it in this process gives."""
    needs = [{"family": "XGBoost", "needs": {"labels": ["nvme", "bigmem"]}}]
    asked = document(
        job(["LightGBM", "xgboost", "Ensemble", "MLP"], features=["f0", "f1"], fits=needs), job(symbol="AAA")
    )
    found = description_of(describe(question_of(settings, asked, source="x")), str(settings.data_dir))
    assert said(ask(json.dumps(asked))) == completed(settings, asked, found, source="x")


def test_every_golden_plan_comes_through_the_answer_whole() -> None:
    """A plan written as an answer and read again is equal: ensembles, blends and needs of fits too."""
    plans = []
    for path in GOLDEN:
        with suppress(PlanRejected):  # those that train nothing
            document = parse_plan_text(path.read_bytes(), source=str(path))
            data = {"panel_key": None, "panel_path": "x"}
            training = {"seed": 42, "model_families": ["LightGBM"]}
            plans.append(complete_plan(document, family_of=family_entry, training=training, data=data))
    assert len(plans) > 20
    for plan in plans:
        assert decoded(json.dumps(encoded_plan(plan)).encode()) == plan


@pytest.mark.parametrize(
    ("content", "words", "whole"),
    [
        (json.dumps(document(job(["LigtGBM"]))), "did you mean LightGBM", True),
        (json.dumps(document(job(target="fwd_ret_2d"))), "unknown target", True),
        (json.dumps(document(data={"symbols": ["ZZZ"]})), "ZZZ", True),
        (json.dumps(document(data={"symbols": 5})), "symbols of the data is not a list of names", True),
        (json.dumps(document(data={"horizons": {"y": "x"}})), "whole numbers of bars", True),
        (json.dumps(document(data={"data_dir": "a\0b"})), "", True),
        ("[" * 100_000, "", True),
        ('{"metadata": {', "", False),
        ("", "empty", False),
        (b"\xff\xfe", "UTF-8", False),
        ('{"jobs": [], "jobs": []}', "", True),
        ("1" * 10_000, "", False),
    ],
)
def test_what_is_no_plan_is_refused_in_words(
    content: bytes | str, words: str, ask: Ask, *, whole: bool
) -> None:
    """Each is answered with a sentence; what ends too early is told apart from what will never be a plan."""
    answer = said(ask(content))
    assert isinstance(answer, Rejection)
    assert answer.sentence.isprintable()
    assert words.lower() in f"{answer.sentence} {answer.fix}".lower()
    assert answer.whole == whole
    assert str(answer.of("inbox/plan"))


def test_a_plan_that_takes_too_much_memory_costs_itself(
    settings: Settings, tmp_path: Path, ask: Ask, judges: Judges
) -> None:
    """Beyond its memory the child ends with a sentence; the next plan is judged by the same warm process."""
    before = judges.pid
    judges.settings = settings_in(tmp_path, data_dir=settings.data_dir, judging_memory_bytes=2**26)
    greedy = '{"metadata": {"x": [' + ",".join(["[[],{}]"] * 2_000_000) + ']}, "jobs": []}'
    answer = said(ask(greedy))
    assert isinstance(answer, Rejection)
    assert "judging_memory_bytes" in answer.sentence
    judges.settings = settings
    assert isinstance(said(ask(json.dumps(document()))), Plan)
    assert judges.pid == before


def test_a_plan_that_takes_too_long_is_refused(ask: Ask, judges: Judges, clock: FakeClock) -> None:
    """What does not answer in time is ended and refused by the name of the limit."""
    assert isinstance(said(ask(json.dumps(document()))), Plan)
    server = stopped_server(judges)
    judgement = ask(json.dumps(document()))
    assert judgement.answer() is None
    clock.now += 3601
    answer = judgement.answer()
    assert isinstance(answer, Rejection)
    assert "judging_seconds_max" in answer.sentence
    server.resume()


@contextmanager
def endless(copy: Path) -> Iterator[None]:
    """A copy that does not come to its end: whoever reads it waits; afterwards it is a plan like others."""
    os.mkfifo(copy)
    writer = os.open(copy, os.O_RDWR)
    try:
        yield
    finally:
        copy.unlink()
        copy.write_text(json.dumps(document()))
        os.close(writer)


def test_a_child_that_is_killed_costs_a_try(judges: Judges) -> None:
    """Killed from outside once, the plan is judged again."""
    copy = judges.place / "plan.json"
    with endless(copy):
        judgement = judges.judge(copy, source="inbox/plan")
        child = child_of(judgement)
        child.kill()
        await_that(lambda: not is_at_work(child), "end of the child")
    assert isinstance(said(judgement), Plan)
    judgement.close()


def test_a_plan_whose_child_is_always_killed_is_refused(ask: Ask, judges: Judges) -> None:
    """So often and no more: what ends its process every time does not keep the daemon at it for ever."""
    judgement = ask(json.dumps(document()))
    answers: list[Plan | Rejection] = []
    killed: set[int] = set()

    def kill_each() -> bool:
        with suppress(psutil.NoSuchProcess):  # it was quicker, or the warm process has just ended
            for child in psutil.Process(judges.pid).children():
                child.suspend()
                child.kill()
                killed.add(child.pid)
        if (answer := judgement.answer()) is not None:
            answers.append(answer)
        return bool(answers)

    await_that(kill_each, "answer")
    if isinstance(answers[0], Rejection):
        assert "code -9" in answers[0].sentence
        assert len(killed) > LOSSES_MAX


def test_a_lost_warm_process_is_made_anew(ask: Ask, judges: Judges, clock: FakeClock) -> None:
    """What the lost one was asked is asked of the new one, however often, and no plan is refused for it."""
    lost = []
    judgement = ask(json.dumps(document()))
    for _ in range(LOSSES_MAX + 2):
        server = stopped_server(judges)
        lost.append(server.pid)
        server.kill()
        await_that(lambda: not judgement.answer() and judgement.fileno() < 0, "loss")
        clock.now += 2
        judgement.answer()
    assert isinstance(said(judgement), Plan)
    assert judges.pid not in lost
    assert judges.trouble is None


def test_where_no_warm_process_comes_up_plans_wait(
    ask: Ask, judges: Judges, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that cannot judge says so and refuses nothing; as soon as it can, the plan is judged."""
    judges.close()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        judgement = ask(json.dumps(document()))
        for _ in range(LOSSES_MAX + 2):
            await_that(lambda: not judgement.answer() and judges.trouble, "trouble")
            clock.now += 2
            judges.trouble = None
    clock.now += 2
    judgement.answer()
    assert isinstance(said(judgement), Plan)
    assert judges.trouble is None


def test_the_child_knows_no_password_and_dies_with_its_parent(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither environment nor question names the database; closed, there is no process left."""
    for name in SECRETS:
        monkeypatch.setenv(name, "postgresql://somebody:secret@host/log")
    assert set(settings_words(settings)) == set(JUDGED_BY)
    judges = Judges(settings, tmp_path / "private")
    judges.start()
    server = psutil.Process(judges.pid)
    known = await_that(server.environ, "environment")
    assert not [value for value in known.values() if "secret" in value]
    copy = tmp_path / "private" / "plan.json"
    with endless(copy):
        judgement = judges.judge(copy, source="x")
        child = child_of(judgement)
        judges.close()
        await_that(lambda: not is_at_work(child), "end of the child")
    assert not server.is_running()
    judgement.close()


def test_the_warm_process_does_not_outlive_a_killed_daemon(settings: Settings, tmp_path: Path) -> None:
    """After kill -9 of the daemon the process that judges for it ends by itself, also while it is stopped."""
    words = (
        "import json, select, sys\n"
        "from pathlib import Path\n"
        "from daemon.judging import Judges\n"
        "from daemon.judging_questions import settings_of\n"
        "judges = Judges(settings_of(json.loads(sys.argv[1])), Path(sys.argv[2]))\n"
        "judges.start()\n"
        "copy = Path(sys.argv[2]) / 'plan'\n"
        "copy.write_text('{}')\n"
        "judgement = judges.judge(copy, source='x')\n"
        "while judgement.answer() is None:\n"
        "    select.select([judgement] if judgement.fileno() >= 0 else [], [], [], 1)\n"
        "print(judges.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    asked = [json.dumps(settings_words(settings)), str(tmp_path / "private")]
    with subprocess.Popen(
        [sys.executable, "-P", "-c", words, *asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as daemon:
        assert daemon.stdout is not None
        server = psutil.Process(int(daemon.stdout.readline()))
        server.suspend()
        daemon.kill()
    await_that(lambda: not is_at_work(server), "end of the warm process")


def is_at_work(process: psutil.Process) -> bool:
    """Whether a process has not ended; one that nobody has taken leave of has."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_start_sweeps_what_a_killed_daemon_left(settings: Settings, tmp_path: Path) -> None:
    """Copies of plans do not outlive the daemon for long, and nobody else can read them."""
    place = tmp_path / "private"
    place.mkdir()
    (place / "1-1.json").write_text("left")
    with closing(Judges(settings, place)) as judges:
        judges.start()
        assert list(place.iterdir()) == []
        assert place.stat().st_mode & 0o777 == 0o700


def test_the_settings_come_through_the_question_whole(settings: Settings) -> None:
    """What decides about a plan is the same in the child, places and families included."""
    told = settings_of(json.loads(json.dumps(settings_words(settings))))
    assert [getattr(told, name) for name in JUDGED_BY] == [getattr(settings, name) for name in JUDGED_BY]
    assert told.training() == settings.training()


FULL_DISK = """
import errno, sys
from daemon import judging_child
def full(*_fds):
    raise OSError(errno.ENOSPC, "No space left on device")
judging_child._judge = full
judging_child.judge(0, 0, 0)
"""


def test_on_a_full_disk_a_plan_waits_though_not_even_that_can_be_said() -> None:
    """The child that finds the disk full is asked again later, also where its own log is on that disk."""
    with Path("/dev/full").open("wb") as log:
        done = subprocess.run([sys.executable, "-P", "-c", FULL_DISK], stderr=log, check=False)
    assert done.returncode == TRY_AGAIN


def test_where_no_process_can_be_had_a_plan_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine out of processes is no fault of a plan; the warm process lives on, its log on a full disk."""

    def none_left() -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    ours, theirs = socket.socketpair()
    control, far = socket.socketpair()
    monkeypatch.setattr(os, "fork", none_left)
    full = [os.open("/dev/full", os.O_RDWR) for _ in range(4)]
    asked = Asked(question_fd=full[0], plan_fd=full[1], answer_fd=full[2], log_fd=full[3], tell=theirs)
    with ours, far:
        assert not Server(control)._fork(asked)
        assert json.loads(ours.recv(1000)) == {"code": TRY_AGAIN}
