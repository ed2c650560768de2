"""Kinds of directories that are no plans: what makes one of them, and the word its refusal must hold.

A kind is made in a directory outside the drop folder, under a name that is then renamed in. Kinds that are no
directory at all replace it.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from daemon_samples import document, job
from drop_site import Site, good_plan

MASTER = "master_training_plan.json"
GOOD = good_plan("a good one")
ROOT = os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to be no plan."""

    name: str
    make: Callable[[Path, Site, Random], None]
    word: str  # of the refusal's sentence, in lower case; empty for any


def text(content: str | bytes, file: str = MASTER) -> Callable[[Path, Site, Random], None]:
    """A directory whose plan is this."""

    def make(folder: Path, _site: Site, _chance: Random) -> None:
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def saying(**fields: object) -> Callable[[Path, Site, Random], None]:
    """A plan of a good job and one with other fields."""
    return text(json.dumps(document(job(), {**job(job_id="second"), **fields})))


def laid(spoil: Callable[[Path, Site, Random], None]) -> Callable[[Path, Site, Random], None]:
    """A good plan with something else laid beside it."""

    def make(folder: Path, site: Site, chance: Random) -> None:
        (folder / MASTER).write_text(GOOD)
        spoil(folder, site, chance)

    return make


def instead(put: Callable[[Path, Site, Random], None]) -> Callable[[Path, Site, Random], None]:
    """Something in the place of the directory."""

    def make(folder: Path, site: Site, chance: Random) -> None:
        shutil.rmtree(folder)
        put(folder, site, chance)

    return make


def link_out(path: Path, site: Site, _chance: Random) -> None:
    path.symlink_to(site.outside)


def pipe(path: Path, _site: Site, _chance: Random) -> None:
    os.mkfifo(path)


def plug(path: Path, _site: Site, _chance: Random) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path, _site: Site, _chance: Random) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # as /dev/zero: reading it never ends


def second_name(path: Path, site: Site, _chance: Random) -> None:
    own = site.outside.with_name(f"linked-{path.parent.name}-{path.name}"[:200])
    own.write_text(GOOD)
    os.link(own, path)


def at(name: str, put: Callable[[Path, Site, Random], None]) -> Callable[[Path, Site, Random], None]:
    """Put something under a name inside."""

    def make(folder: Path, site: Site, chance: Random) -> None:
        put(folder / name, site, chance)

    return make


def to(target: str) -> Callable[[Path, Site, Random], None]:
    """A link to a place."""

    def put(path: Path, _site: Site, _chance: Random) -> None:
        path.symlink_to(target)

    return put


def named(name: bytes) -> Callable[[Path, Site, Random], None]:
    """A file with these bytes as its name."""

    def make(folder: Path, _site: Site, _chance: Random) -> None:
        os.close(os.open(os.fsencode(folder) + b"/" + name, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))

    return make


def truncated(folder: Path, _site: Site, chance: Random) -> None:
    (folder / MASTER).write_text(GOOD[: chance.randrange(1, len(GOOD) - 1)])


def too_big(folder: Path, _site: Site, _chance: Random) -> None:
    with (folder / MASTER).open("wb") as file:
        file.truncate(3 << 30)  # holes: no disk is used


def too_deep(folder: Path, _site: Site, _chance: Random) -> None:
    folder.joinpath(*["d"] * 40).mkdir(parents=True)


def too_many(folder: Path, _site: Site, _chance: Random) -> None:
    (folder / MASTER).write_text(GOOD)
    own = folder / "file"
    own.touch()
    for number in range(2, 100):
        (folder / f"d{number}").mkdir()
    for number in range(100_001):
        os.close(os.open(folder / f"n{number}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))


def results_with_a_false_link(folder: Path, site: Site, _chance: Random) -> None:
    (folder / "METRICS").mkdir()
    (folder / "METRICS" / "training_plan").symlink_to(site.outside)


def reason_is_there(folder: Path, _site: Site, _chance: Random) -> None:
    (folder / MASTER).write_text("{")
    (folder / "REASON.txt" / "deeper").mkdir(parents=True)
    (folder / "reason.json").write_text("{}")


def reason_leads_out(folder: Path, site: Site, _chance: Random) -> None:
    (folder / MASTER).write_text("{")
    (folder / "REASON.txt").symlink_to(site.outside / "secret")
    (folder / "reason.json").symlink_to(site.outside / "secret")


def alias_bomb(folder: Path, _site: Site, _chance: Random) -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{one}: &{one} [{','.join([f'*{before}'] * 9)}]"
        for before, one in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    (folder / "training_plan.yaml").write_text("\n".join([*lines, "jobs: *i"]))


KINDS: tuple[Kind, ...] = (
    Kind("empty text", text(""), ""),
    Kind("blank text", text(" \n\t\r\n"), ""),
    Kind("nul bytes", text(b"\0" * 100), ""),
    Kind("only a byte order mark", text(b"\xef\xbb\xbf"), ""),
    Kind("UTF-16", text(GOOD.encode("utf-16")), ""),
    Kind("no UTF-8", text(GOOD.replace("for a test", "f\xfcr").encode("latin-1")), ""),
    Kind("truncated", truncated, "json"),
    Kind("open brackets", text(b"[" * 200_000), ""),
    Kind("open objects", text(b'{"a":' * 100_000), ""),
    Kind("deep objects", text(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), "deep"),
    Kind("a little too deep", text('{"jobs":' + "[" * 60 + "]" * 60 + "}"), "deep"),
    Kind("very many digits", text('{"jobs": ' + "9" * 20_000 + "}"), "digit"),
    Kind("no number", text("NaN"), ""),
    Kind("null", text("null"), "not an object"),
    Kind("a list", text("[]"), "not an object"),
    Kind("a string", text('"plan"'), "not an object"),
    Kind("no jobs", text('{"metadata": {}}'), "missing"),
    Kind("empty jobs", text('{"jobs": []}'), "empty"),
    Kind("jobs of no kind", text('{"jobs": "all"}'), ""),
    Kind("jobs without fields", text('{"jobs": [{}]}'), "missing"),
    Kind("very many faults", text('{"jobs": [' + ",".join(["1"] * 300_000) + "]}"), ""),
    Kind("a key twice", text('{"jobs": [], "jobs": []}'), "twice"),
    Kind(
        "very many keys, one twice",
        text("{" + "".join(f'"k{n}":0,' for n in range(200_000)) + '"k7":1}'),
        "twice",
    ),
    Kind("endless number", text(GOOD.replace("2", "1e999", 1)), ""),
    Kind("lone surrogate", text(GOOD.replace("for a test", "\\ud800")), "surrogate"),
    Kind("NUL in a text", text(GOOD.replace("for a test", "\\u0000")), "nul"),
    Kind("trailing comma", text(GOOD[:-1] + ",}"), "json"),
    Kind("two documents", text(GOOD + GOOD), "json"),
    Kind("a comment", text("// a plan\n" + GOOD), "json"),
    Kind("single quotes", text(GOOD.replace('"', "'")), "json"),
    Kind("compressed", text(gzip.compress(GOOD.encode())), ""),
    Kind("pickled", text(pickle.dumps({"jobs": [job()]})), ""),
    Kind("a web page", text("<!doctype html><title>404</title>"), "json"),
    Kind("YAML alone", alias_bomb, "master_training_plan.json"),
    Kind("unknown family", saying(model_families=["LigtGBM"]), "family"),
    Kind("unknown route", saying(route="ROUTE_TO_NOWHERE"), "route"),
    Kind("path in a target", saying(target="../../etc/passwd"), "path"),
    Kind("path in a job", saying(job_id="/etc/passwd"), "path"),
    Kind("a screen's words", saying(job_id="\x1b[2J\x1b[31mroot"), "control character"),
    Kind("long name", saying(target="t" * 5000), "characters"),
    Kind("job twice", text(json.dumps(document(job(), job()))), "already"),
    Kind("fits of no kind", saying(fits=7), "fits"),
    Kind("needs beyond all", saying(fits=[{"family": "LightGBM", "needs": {"cores": 2**70}}]), "number"),
    Kind("a circle", saying(fits=[{"family": "LightGBM", "depends_on": ["LightGBM"]}]), ""),
    Kind("priority beyond all", saying(priority=2**40), ""),
    Kind("other data", text(json.dumps(document(job(), fingerprints={"panel": "d_0"}))), "other data"),
    Kind("symbols of no kind", text(json.dumps(document(job(), data={"symbols": 1e308}))), ""),
    Kind("unknown target", saying(target="fwd_ret_2d"), "target"),
    Kind("unknown symbol", saying(symbol="ZZZ", training_type="symbol_specific", route=None), "symbol"),
    Kind("unknown feature", saying(features=["f99"]), "feature"),
    Kind("data elsewhere", text(json.dumps(document(job(), data={"symbols": ["ZZZ"]}))), ""),
    Kind("empty directory", lambda *_words: None, "master_training_plan.json"),
    Kind("only ready", text("", ".ready"), "master_training_plan.json"),
    Kind("only other files", text(GOOD, "plan.json"), "master_training_plan.json"),
    Kind(
        "master leads out", at(MASTER, lambda path, site, _: path.symlink_to(site.outside / MASTER)), "link"
    ),
    Kind("master leads to a device", at(MASTER, to("/dev/zero")), "link"),
    Kind("master leads to a secret", at(MASTER, to("/etc/passwd")), "link"),
    Kind("master leads to itself", at(MASTER, to(MASTER)), "link"),
    Kind("master leads nowhere", at(MASTER, to("nowhere")), "link"),
    Kind("master is a pipe", at(MASTER, pipe), "regular file"),
    Kind("master is a socket", at(MASTER, plug), "regular file"),
    Kind("master is a directory", lambda folder, *_: (folder / MASTER / "deeper").mkdir(parents=True), ""),
    Kind("master has a second name", at(MASTER, second_name), "hard link"),
    Kind("master is too big", too_big, "big"),
    Kind("a link beside", laid(at("by_target", link_out)), "link"),
    Kind("a pipe beside", laid(at("pipe", pipe)), "regular file"),
    Kind("a socket beside", laid(at("socket", plug)), "regular file"),
    Kind("a second name beside", laid(at("copy.json", second_name)), "hard link"),
    Kind("a false link of results", laid(results_with_a_false_link), "link"),
    Kind("a file name that is no text", laid(named(b"pl\xff\xfean")), "utf-8"),
    Kind("too deep", laid(too_deep), "deep"),
    Kind("its reason is a directory", reason_is_there, "json"),
    Kind("its reason leads out", reason_leads_out, "link"),
    Kind("a file", instead(lambda path, *_: path.write_text(GOOD) and None), "not a directory"),
    Kind("a link", instead(link_out), "link"),
    Kind("a link to nowhere", instead(to("nowhere")), "link"),
    Kind("a link to itself", instead(lambda path, *_: path.symlink_to(path.name)), "link"),
    Kind("a link to all", instead(to("/")), "link"),
    Kind("a pipe", instead(pipe), "not a directory"),
    Kind("a socket", instead(plug), "not a directory"),
    *(
        (
            Kind("a device", instead(device), "not a directory"),
            Kind("a device beside", laid(at("d", device)), "regular"),
        )
        if ROOT
        else ()
    ),
    *(() if ROOT else (Kind("closed to the daemon", laid(lambda folder, *_: folder.chmod(0)), "read"),)),
)
HEAVY: tuple[Kind, ...] = (Kind("too many files", too_many, "too many"),)
NAMES = (
    *(
        "{}",
        "{}",
        "{}",
        "{}",
        "-rf {}",
        "{}\n\x1b[31m",
        "{} \u202e plan",
        "$(reboot) {}",
        "{};ls",
        "é{}",
    ),
    *("{}" + "x" * 200, "REASON.txt {}", "con {}", "{}\udcff\udcfe", "%s%n {}", "\\{}", "{}:{}"),
)
