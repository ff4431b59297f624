"""Uploading, with a local server that plays the zoo: it takes everything, says no, or hangs up."""

import json
import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import yaml

from zooready import cli
from zooready.bundle.reading import opened
from zooready.commands import publish
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid
from zooready.records import Verdict
from zooready.sharing import publishing
from zooready.sharing.hub_folder import write_hub_folder
from zooready.sharing.publishing import Parcel, inspected, uploaded
from zooready.sharing.upload_worker import TOKEN, cleaned

SECRET = "a-secret-token"


class Zoo(ThreadingHTTPServer):
    """Says yes to everything, but for requests for which ``rules`` has a status, or None to hang up; keeps what it was sent."""

    def __init__(self, rules):
        super().__init__(("127.0.0.1", 0), Answer)
        self.rules, self.seen, self.files, self.said = rules, [], {}, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        self.answer()

    def do_PUT(self):
        self.answer()

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        step = self.path.rpartition("/")[2].partition("?")[0]
        zoo = self.server
        zoo.seen.append((self.command, step))
        status = zoo.rules.get(step, 200)
        if status is None:
            self.connection.close()
            return
        if self.command == "POST":
            assert self.headers["Authorization"] == f"Bearer {SECRET}"
            zoo.said.append((step, json.loads(body)))
        else:
            zoo.files[step] = body
        answers = {"create": {"id": "bioimage-io/keen-newt"}, "edit": {}}
        reply = f"{zoo.address}/store/{json.loads(body)['file_path']}?signature=hidden" if step == "put_file" else answers.get(step, {})
        text = json.dumps(reply if status == 200 else {"detail": "not you"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words):
        pass


@contextmanager
def zoo(**rules):
    server = Zoo({step.replace("__", "."): status for step, status in rules.items()})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def parcel(for_zoo):
    """Nothing stands against it."""
    with opened(for_zoo) as bundle:
        files = tuple(sorted((file.name, file.stat().st_size) for file in bundle.folder.iterdir()))
    return Parcel(path=for_zoo, name="Nuclei", files=files, verdicts=(), faults=(), receiver="")


def send(parcel, server, token=SECRET):
    import os

    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return uploaded(parcel, environment={**kept, TOKEN: token, "BIOIMAGEIO_HYPHA_UPLOAD": f"{server.address}/create"})


def test_every_file_arrives_and_the_reviewers_are_asked(parcel, for_zoo):
    with zoo() as server:
        url = send(parcel, server)
    assert "bioimage-io/keen-newt" in url
    manifest = next(content["manifest"] for step, content in server.said if step == "create")
    assert manifest["name"] == "Nuclei (test)"
    assert "id" not in manifest
    assert len(server.files) == len(parcel.files) == 9
    with opened(for_zoo) as bundle:
        assert (bundle.folder / "weights.onnx").read_bytes() in server.files["weights.onnx"]
    assert server.said[-1][0] == "edit"
    assert server.said[-1][1]["manifest"]["status"] == "request-review"


def test_a_refusal_at_the_door_is_told_and_nothing_is_tried_again(parcel):
    with zoo(create=403) as server, pytest.raises(ConsumerFailed, match=r"POST create was answered with 403 Forbidden. No draft was made."):
        send(parcel, server)
    assert server.seen == [("POST", "create")]


@pytest.mark.parametrize(("step", "count"), [("weights__onnx", 8), ("edit", 9)])
def test_a_refusal_that_bioimageio_overlooks_is_told(parcel, step, count):
    words = rf"was answered with 403 Forbidden. The draft 'bioimage-io/keen-newt' is there with {count} of 9 files"
    with zoo(**{step: 403}) as server, pytest.raises(ConsumerFailed, match=words):
        send(parcel, server)


def test_a_connection_that_is_cut_is_told_with_what_is_there_and_not_tried_again(parcel):
    with zoo(weights__onnx=None) as server, pytest.raises(ConsumerFailed, match=r"the upload was cut \(\w+: .* of 9 files") as caught:
        send(parcel, server)
    assert server.seen.count(("PUT", "weights.onnx")) == 1
    assert ("POST", "edit") not in server.seen
    assert SECRET not in str(caught.value)
    assert "signature" not in str(caught.value)


def test_a_server_that_is_not_there_is_told(parcel):
    with zoo() as server:
        pass
    with pytest.raises(ConsumerFailed, match=r"the upload was cut \(ConnectError: .*No draft was made"):
        send(parcel, server)


def test_without_a_token_nothing_is_sent(parcel):
    with zoo() as server, pytest.raises(InputInvalid, match=f"there is no token.*put it into the environment as {TOKEN}"):
        send(parcel, server, token="")
    assert server.seen == []


TOKENS = {"space": "a secret", "line": "a-secret\nX-Forged: yes", "letter": "gehe\u00edm", "control": "a-secret\x7f"}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_what_is_no_token_is_refused_and_not_shown(parcel, token):
    with zoo() as server, pytest.raises(InputInvalid, match=f"{TOKEN} holds a space, a line break or a letter") as caught:
        send(parcel, server, token=token)
    assert server.seen == []
    assert "secret" not in str(caught.value)
    assert "gehe" not in str(caught.value)


def test_a_line_break_behind_a_token_is_left_out(parcel):
    with zoo(create=403) as server, pytest.raises(ConsumerFailed, match="POST create was answered with 403 Forbidden"):
        send(parcel, server, token=f" {SECRET}\r\n")  # Answer looks at the header


def test_with_a_fault_nothing_is_sent(parcel):
    from dataclasses import replace

    with zoo() as server, pytest.raises(BundleInvalid, match=r"nuclei.zip is not sent:\n  it has no tags"):
        send(replace(parcel, faults=("it has no tags.",)), server)
    assert server.seen == []


def test_words_of_an_error_lose_the_token_and_what_an_address_hides():
    text = f"Client error '403' for url 'https://store.example/a?sig=abc' with Bearer {SECRET}"
    assert cleaned(text, SECRET) == "Client error '403' for url 'https://store.example/a' with Bearer …"


@pytest.fixture
def judged(monkeypatch):
    """Programs that say what they are told to."""

    def say(**statuses):
        def compare(path, **options):
            assert options["trust_code"] in (True, False)
            with opened(path) as bundle:
                assert bundle.id == "nuclei-test"
            verdicts = [
                Verdict(consumer=consumer.replace("_", "-"), format=format, status=status, level="ran", why="Said so.")
                for consumer, status in statuses.items()
                for format in ("state_dict", "torchscript", "onnx")
            ]
            return type("Comparison", (), {"verdicts": tuple(verdicts)})

        monkeypatch.setattr(publishing, "compare", compare)

    return say


@pytest.mark.parametrize(
    ("statuses", "asked", "said"),
    [
        ({"bioimageio": "passed"}, None, None),
        ({"bioimageio": "passed", "pyimagej": "missing"}, None, None),
        ({"bioimageio": "passed", "pyimagej": "missing"}, ["bioimageio", "pyimagej"], "pyimagej onnx: missing"),
        ({"bioimageio": "passed", "java_onnx": "differs"}, None, "java-onnx onnx: differs. Said so."),
        ({"bioimageio": "untrusted"}, None, "bioimageio state_dict: untrusted"),
        ({"torch": "passed"}, ["torch"], "bioimageio's own test was not run for state_dict, torchscript, onnx"),
    ],
)
def test_every_verdict_that_was_asked_for_must_have_passed(for_zoo, judged, statuses, asked, said):
    judged(**statuses)
    faults = inspected(for_zoo, consumers=asked).faults
    assert any(said in fault for fault in faults) if said else faults == ()


def test_a_dry_run_shows_files_receiver_and_what_is_in_the_way_and_sends_nothing(for_zoo, judged, capsys, monkeypatch):
    judged(bioimageio="passed", torch="differs")
    with zoo() as server:
        monkeypatch.setenv("BIOIMAGEIO_HYPHA_UPLOAD", f"{server.address}/create")
        monkeypatch.setenv(TOKEN, SECRET)
        assert cli.main(["publish", str(for_zoo), "--dry-run", "--trust-code"]) == 1
    printed = capsys.readouterr().out
    assert f"9 files for 127.0.0.1:{server.server_port}" in printed
    assert all(word in printed for word in ("weights.onnx", "in the way: torch onnx: differs", "Nothing was sent."))
    assert SECRET not in printed
    assert server.seen == []


def test_what_is_in_the_way_of_sending_is_said_once(for_zoo, judged, capsys, monkeypatch):
    judged(bioimageio="passed", torch="differs")
    monkeypatch.setenv(TOKEN, SECRET)
    assert cli.main(["publish", str(for_zoo), "--trust-code"]) == 2
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("torch onnx: differs") == 1
    assert "is not sent:\n  torch state_dict: differs" in printed.err


def test_the_command_sends_what_is_in_order_and_says_where_it_is(for_zoo, judged, capsys, monkeypatch):
    judged(bioimageio="passed")
    with zoo() as server:
        monkeypatch.setenv("BIOIMAGEIO_HYPHA_UPLOAD", f"{server.address}/create")
        monkeypatch.setenv(TOKEN, SECRET)
        assert cli.main(["publish", str(for_zoo), "--trust-code"]) == 0
    printed = capsys.readouterr().out
    assert "bioimage-io/keen-newt" in printed
    assert SECRET not in printed
    assert len(server.files) == 9


def test_a_missing_token_is_told_before_anything_is_checked(for_zoo, capsys, monkeypatch):
    def compare(path, **options):
        raise AssertionError("checked before the token was missed")

    monkeypatch.setattr(publishing, "compare", compare)
    monkeypatch.delenv(TOKEN, raising=False)
    assert cli.main(["publish", str(for_zoo), "--trust-code"]) == 2
    assert f"put it into the environment as {TOKEN}" in capsys.readouterr().err


def test_a_family_is_exported_for_the_zoo_and_its_code_is_trusted(for_zoo, judged, monkeypatch):
    given = {}

    def export(source, *, out, **options):
        given.update(options, source=source)
        shutil.copy(for_zoo, out)
        return SimpleNamespace(path=out)

    judged(bioimageio="passed")
    monkeypatch.setattr(publish, "export", export)
    result = publish.publish("segmentation", about="about.yaml", keep=["labels"], dry_run=True)
    assert result.parcel.faults == ()
    assert result.url == ""
    assert given == {"source": "segmentation", "about": "about.yaml", "keep": ["labels"], "torchscript": "plain", "form": "zoo"}


def test_what_is_neither_a_bundle_nor_a_run_nor_a_family_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match="is no bundle, run or family"):
        publish.publish(tmp_path / "nothing.zip")


def test_facts_of_a_bundle_cannot_be_given_again(for_zoo, capsys):
    assert cli.main(["publish", str(for_zoo), "--about", "about.yaml"]) == 2
    assert "which states its facts itself" in capsys.readouterr().err


def test_the_folder_for_hugging_face_has_a_card_with_its_header_and_the_bundle(for_zoo, tmp_path):
    with opened(for_zoo) as bundle:
        folder = write_hub_folder(bundle, tmp_path / "ada-example")
        with pytest.raises(InputInvalid, match="is there already"):
            write_hub_folder(bundle, tmp_path / "ada-example")
    _, header, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(header)["license"] == "bsd-3-clause"
    assert "ada-example/nuclei-test" in text
    assert (folder / "package" / "weights.pt").is_file()
    assert list((tmp_path / "ada-example").iterdir()) == [folder]
