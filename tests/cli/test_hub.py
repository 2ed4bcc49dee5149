"""`--hub`: a config.json comes from the hub once, the lock file keeps it, and without the flag nothing goes out."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

REVISION = "0123456789abcdef0123456789abcdef01234567"
CONFIG = json.dumps({
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": False,
}).encode()
TRAIN = "model_name_or_path: {}\ntrainer: transformers\nper_device_train_batch_size: 1\nmax_length: 32\nlearning_rate: 1.0e-5\n"


class Hub:
    """A hub of two repositories on this machine: `team/small` has a config, `team/closed` asks for consent."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:  # http.server's name
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                hub.asked.append(self.path)
                if "team/small" not in self.path:
                    self.send_response(403 if "closed" in self.path else 404)
                    self.send_header("X-Error-Code", "GatedRepo" if "closed" in self.path else "RepoNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("ETag", f'"{hashlib.sha1(CONFIG, usedforsecurity=False).hexdigest()}"')
                self.send_header("X-Repo-Commit", REVISION)
                self.send_header("Content-Length", str(len(CONFIG)))
                self.end_headers()
                if body:
                    self.wfile.write(CONFIG)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    served = Hub()
    yield served
    served.server.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "project" / "configs").mkdir()
    return tmp_path / "project"


def run(project: Path, url: str, model: str, *options: str) -> dict[str, object]:
    (project / "configs" / "train.yaml").write_text(TRAIN.format(model))
    environment = {
        **os.environ, "HF_ENDPOINT": url, "HF_HOME": str(project.parent / "cache"), "NO_PROXY": "*",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", "estimate", "--output-format", "json", *options, "configs/train.yaml"],
        cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )
    assert "Traceback" not in done.stderr
    if not done.stdout:
        return {"error": done.stderr}
    record: dict[str, object] = json.loads(done.stdout)["files"][0]
    return record


def test_without_the_flag_nothing_goes_out(project: Path, hub: Hub) -> None:
    record = run(project, hub.url, "team/small")
    assert "unknown model" in str(record["error"])
    assert hub.asked == []
    assert not (project / "vramlint.lock").exists()


def test_what_was_fetched_once_is_locked(project: Path, hub: Hub) -> None:
    pytest.importorskip("huggingface_hub")
    record = run(project, hub.url, "team/small", "--hub")
    assert record["error"] is None
    lock = json.loads((project / "vramlint.lock").read_text())
    assert lock["version"] == 1
    assert lock["models"]["team/small"] == {"revision": REVISION, "config": json.loads(CONFIG)}
    before = len(hub.asked)
    hub.server.shutdown()
    again = run(project, "http://127.0.0.1:9", "team/small")  # neither flag nor hub any more
    assert again["error"] is None
    assert again["estimate"] == record["estimate"]
    assert "vramlint.lock" in str(again["model"])
    assert len(hub.asked) == before


@pytest.mark.parametrize(("model", "why"), [
    ("team/closed", "accept the terms"), ("team/nowhere", "no such model"), ("../../etc/passwd", "no name of a model"),
])
def test_what_cannot_be_had_is_said(project: Path, hub: Hub, model: str, why: str) -> None:
    pytest.importorskip("huggingface_hub")
    record = run(project, hub.url, model, "--hub")
    assert why in str(record["error"])
    assert not (project / "vramlint.lock").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2, "models": {}}', '{"version": 1, "models": {"team/small": {}}}'])
def test_a_broken_lock_file_is_said(project: Path, hub: Hub, text: str) -> None:
    (project / "vramlint.lock").write_text(text)
    record = run(project, hub.url, "team/small")
    assert "vramlint.lock" in str(record["error"])


def test_isolated_leaves_the_lock_file_out(project: Path, hub: Hub) -> None:
    lock = {"version": 1, "models": {"team/small": {"revision": REVISION, "config": json.loads(CONFIG)}}}
    (project / "vramlint.lock").write_text(json.dumps(lock))
    assert run(project, hub.url, "team/small")["error"] is None
    assert "unknown model" in str(run(project, hub.url, "team/small", "--isolated")["error"])
    assert "one of the two" in str(run(project, hub.url, "team/small", "--isolated", "--hub")["error"])
