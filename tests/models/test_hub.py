"""Files are fetched from a hub because their model was named, and pinned: against a hub on the loopback."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
from pathlib import Path

import pytest
from hub_server import serving
from hubs import REVISION, snapshot, use_hub

from lookalike.errors import ModelError
from lookalike.models import hub as hub_module
from lookalike.models.hub import Fetched, Wanted, check_repository, checksum, fetch, fetch_left_out, find

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

WANTED = Wanted((("config.json",), ("model.safetensors", "model-*.safetensors")), ("tokenizer.json",))
OTHER = "f" * 40


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """What a publisher has: two files that are wanted, one that may be there, and one for others."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, size in (("config.json", 20), ("model.safetensors", 1_500_000), ("tokenizer.json", 30)):
        (folder / name).write_bytes(bytes(size))
    (folder / "tf_model.h5").write_bytes(bytes(5_000_000))
    return folder


@pytest.fixture
def hub(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(net=(REVISION, published)) as (address, state):
        use_hub(monkeypatch, tmp_path / "here", address)
        yield state


def test_what_is_wanted_is_fetched_after_it_was_said_with_its_size(hub, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "lookalike.models.hub"):
        found = fetch("tests/net", WANTED)

    assert caplog.messages == [f"fetching tests/net, revision {REVISION[:8]}: 3 files, 1.5 MB"]
    assert (found.revision, found.names) == (REVISION, ("tokenizer.json", "config.json", "model.safetensors"))
    assert found.folder == tmp_path / "here" / "models--tests--net" / "snapshots" / REVISION
    assert sorted(path.name for path in found.folder.iterdir()) == sorted(found.names)


def test_a_single_file_is_said_as_one(hub, caplog):
    with caplog.at_level(logging.INFO, "lookalike.models.hub"):
        fetch("tests/net", Wanted((("model.safetensors",),)))

    assert caplog.messages == [f"fetching tests/net, revision {REVISION[:8]}: 1 file, 1.5 MB"]


def test_what_is_here_is_used_and_the_hub_is_not_asked(hub):
    fetch("tests/net", WANTED)
    hub.asked.clear()
    hub.files["tests/net"] = (OTHER, hub.files["tests/net"][1])  # the publisher has another version now

    assert fetch("tests/net", WANTED).revision == REVISION
    assert fetch("tests/net", WANTED, REVISION).revision == REVISION
    assert hub.asked == []


def test_another_revision_is_fetched_if_it_is_asked_for(hub):
    fetch("tests/net", WANTED)
    hub.files["tests/net"] = (OTHER, hub.files["tests/net"][1])

    assert fetch("tests/net", WANTED, OTHER).revision == OTHER


def test_a_fetch_that_ended_halfway_goes_on(hub, tmp_path):
    found = fetch("tests/net", WANTED)
    (found.folder / "model.safetensors").unlink()

    assert find("tests/net", WANTED) is None
    assert fetch("tests/net", WANTED).names[-1] == "model.safetensors"


def test_a_file_that_another_program_left_out_is_fetched_at_the_same_revision(hub):
    files = fetch("tests/net", Wanted((("config.json",),)))
    hub.asked.clear()

    fetch_left_out(files, "tokenizer.json")

    assert (files.folder / "tokenizer.json").stat().st_size == 30
    assert hub.asked[-1] == f"/tests/net/resolve/{REVISION}/tokenizer.json"


def test_the_hub_is_asked_only_once_for_a_file_that_it_does_not_have(hub, caplog):
    files = fetch("tests/net", WANTED)
    fetch_left_out(files, "vocab.json")
    hub.asked.clear()

    with caplog.at_level(logging.INFO, "lookalike.models.hub"):
        fetch_left_out(files, "vocab.json", "tokenizer.json")

    assert (hub.asked, caplog.messages) == ([], [])


def test_a_file_that_was_left_out_and_cannot_be_fetched_is_told(tmp_path, monkeypatch, caplog):
    use_hub(monkeypatch, tmp_path)
    files = Fetched("tests/net", REVISION, snapshot(tmp_path, "tests/net"), ())

    with caplog.at_level(logging.INFO, "lookalike.models.hub"):
        fetch_left_out(files, "tokenizer.json", "vocab.json")

    assert caplog.messages == ["tokenizer.json of tests/net is not on this machine, and could not be fetched"]


def test_pieces_count_only_if_all_of_them_are_there(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path)
    folder = snapshot(tmp_path, "tests/pieces")
    for name in ("config.json", "model-00001-of-00002.safetensors"):
        (folder / name).write_bytes(b"{}")
    assert find("tests/pieces", WANTED) is None

    (folder / "model-00002-of-00002.safetensors").write_bytes(b"{}")

    found = find("tests/pieces", WANTED)
    assert found is not None
    assert len(found.matching("*.safetensors")) == 2


def test_a_file_that_is_not_the_one_of_the_hub_is_refused_and_removed(hub):
    hub.damaged.add("model.safetensors")
    with pytest.raises(ModelError, match=r"model\.safetensors came damaged: the checksum does not match"):
        fetch("tests/net", WANTED)
    assert find("tests/net", WANTED) is None

    hub.damaged.clear()

    assert fetch("tests/net", WANTED).revision == REVISION


def test_a_repository_without_what_is_wanted_is_refused_before_anything_is_fetched(hub):
    with pytest.raises(ModelError, match=r"tests/net has no image\.bin or other\.bin"):
        fetch("tests/net", Wanted((("config.json",), ("image.bin", "other.bin"))))

    assert [path for path in hub.asked if "resolve" in path] == []


@pytest.mark.parametrize(
    ("repository", "refusal", "said"),
    [
        ("tests/nothing", (404, "RepoNotFound"), "the hub has no model tests/nothing, or it is private"),
        ("tests/gated", (403, "GatedRepo"), "tests/gated is given only to those who agree to its terms"),
        ("tests/net", (404, "RevisionNotFound"), "tests/net has no revision nosuch"),
    ],
)
def test_what_the_hub_refuses_is_told(hub, repository, refusal, said):
    hub.refused[repository] = refusal

    with pytest.raises(ModelError, match=said):
        fetch(repository, WANTED, "nosuch")


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("offline", [True, False])
def test_a_hub_that_cannot_be_reached_is_told_with_how_to_bring_the_files(tmp_path, monkeypatch, offline):
    use_hub(monkeypatch, tmp_path, "" if offline else f"http://127.0.0.1:{closed_port()}")

    with pytest.raises(ModelError) as caught:
        fetch("tests/net", WANTED)

    reason = "HF_HUB_OFFLINE is set" if offline else "the hub cannot be reached"
    assert caught.value.message.startswith(f"tests/net is not on this machine, and {reason}")
    assert caught.value.hint == (
        f"load it where there is a network, and copy the folder {tmp_path}/models--tests--net to the same "
        "place here: it holds refs/main and in snapshots/ the files config.json, model.safetensors or "
        "model-*.safetensors; or bring the folder that `lookalike.export_model(name, out=folder)` makes "
        "of it there"
    )


def test_a_hub_that_does_not_answer_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_module, "_PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_hub(monkeypatch, tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(ModelError, match=r"the hub cannot be reached \(timed out\)"):
            fetch("tests/net", WANTED)


def test_a_commit_that_is_not_here_is_told_with_the_folder_of_its_files(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path)

    with pytest.raises(ModelError) as caught:
        fetch("tests/net", WANTED, REVISION)

    assert f"it holds in snapshots/{REVISION}/ the files config.json, model.safetensors" in caught.value.hint


def test_a_place_for_files_that_cannot_be_written_is_told(hub, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "hub"))

    with pytest.raises(ModelError) as caught:
        fetch("tests/net", WANTED)

    assert caught.value.message == (
        f"tests/net cannot be written to {tmp_path}/file/hub/models--tests--net: Not a directory"
    )
    assert caught.value.hint == "make room there, or let HF_HOME name another folder"


def test_a_misspelled_repository_is_told_with_those_here_and_the_known_ones(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path)
    (tmp_path / "models--tests--network").mkdir()

    for repository, near in (
        ("tests/netwrk", "tests/network"),
        ("facebok/dinov2-smal", "facebook/dinov2-small"),
    ):
        with pytest.raises(ModelError) as caught:
            fetch(repository, WANTED)

        assert caught.value.hint.startswith(f"did you mean {near}")


@pytest.mark.parametrize("name", ["net", "a/b/c", "../net", "a/..", "tests/net?x", "", "/net", "tests/"])
def test_a_name_that_is_no_repository_is_refused(name):
    with pytest.raises(ModelError, match="is not the name of a repository"):
        check_repository(name)


@pytest.mark.parametrize("revision", ["../main", "a/b", "..", " "])
def test_a_revision_that_leads_elsewhere_is_refused(revision):
    with pytest.raises(ModelError, match="is not a revision"):
        check_repository("tests/net", revision)


def test_the_checksum_of_several_files_is_that_of_their_lines(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    lines = "".join(f"{hashlib.sha256(name.encode()).hexdigest()} {name}\n" for name in "ab")

    assert checksum([tmp_path / "b", tmp_path / "a"]) == hashlib.sha256(lines.encode()).hexdigest()
    assert checksum([tmp_path / "a"]) == hashlib.sha256(b"a").hexdigest()


def test_the_command_line_says_what_is_fetched(hub, published, run, folder, target):
    (published / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (published / "preprocessor_config.json").write_text("{}")

    code, _, stderr = run("build", folder, "-c", target, "--model", "hf:tests/net")

    assert code == 1
    assert stderr.splitlines()[0] == f"fetching tests/net, revision {REVISION[:8]}: 4 files, 1.5 MB"
    assert "hf:tests/net is a model of the type 'bert'" in stderr
    assert not target.exists()
