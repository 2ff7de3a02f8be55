"""A lab's containers and cables by nothing but `docker run` and `ip link`: what is to be compared with."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dmvpn_lab.backends.docker import AT_ONCE
from dmvpn_lab.container import image
from dmvpn_lab.render import node as render_node
from dmvpn_lab.render.containerlab import MOUNT
from dmvpn_lab.render.files import files
from dmvpn_lab.rights import CAPABILITIES
from dmvpn_lab.spec.plan_types import Plan
from tests.bench.figures import say

LABEL = "dmvpn-lab.bench=plain"
PATIENCE_S = 600.0
STEP_S = 0.05


def measure(plan: Plan) -> float:
    """Seconds until every node of the plan said that it is ready."""
    rendered = files(plan)
    reference = image.reference()
    with tempfile.TemporaryDirectory() as folder:
        for name, texts in rendered.items():
            for path, text in texts.items():
                target = Path(folder, name, path.lstrip("/"))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
        try:
            began = time.monotonic()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                starts = [
                    (name, pool.submit(_run, reference, name, Path(folder, name), texts))
                    for name, texts in rendered.items()
                ]
            pids = {name: start.result() for name, start in starts}
            for link in plan.links:
                _ip("link", "add", link.a.interface, "netns", str(pids[link.a.node]), "type", "veth",
                    "peer", "name", link.b.interface, "netns", str(pids[link.b.node]))  # fmt: skip
            _until_ready(pids)
            took_s = time.monotonic() - began
        finally:
            _remove()
    say(f"plain: {len(pids)} containers in {took_s:.1f} s")
    return took_s


def _run(reference: str, name: str, folder: Path, texts: dict[str, str]) -> int:
    """`docker run`; the PID of the container's first process."""
    told = json.loads(texts[render_node.PATH])
    argv = ["docker", "run", "--detach", "--network", "none", "--hostname", name, "--label", LABEL]
    argv += ["--no-healthcheck"]  # its looks would make many containers start late
    argv += ["--cap-drop", "ALL", *(f"--cap-add={each}" for each in CAPABILITIES)]
    argv += [f"--sysctl={key}={value}" for key, value in (told["wished_sysctls"] | told["sysctls"]).items()]
    argv += ["--tmpfs", "/run:mode=755", "--volume", f"{folder}:{MOUNT}:ro", reference]
    container = _output(argv)
    return int(_output(["docker", "inspect", "--format", "{{.State.Pid}}", container]))


def _until_ready(pids: dict[str, int]) -> None:
    end = time.monotonic() + PATIENCE_S
    for name, pid in pids.items():
        while not Path(f"/proc/{pid}/root/run/dmvpn-lab/ready").exists():
            assert Path(f"/proc/{pid}").exists(), f"{name} ended"
            assert time.monotonic() < end, f"{name} is not ready after {PATIENCE_S:.0f} s"
            time.sleep(STEP_S)


def _remove() -> None:
    found = _output(["docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"]).split()
    for i in range(0, len(found), AT_ONCE):  # of fifty at once Docker gives up some
        _output(["docker", "rm", "--force", "--volumes", *found[i : i + AT_ONCE]])


def _ip(*words: str) -> None:
    _output(["ip", *words])


def _output(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv[:3])}: {done.stderr.strip()}")
    return done.stdout.strip()
