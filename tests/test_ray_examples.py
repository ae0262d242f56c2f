"""The example files for clusters: they parse, and ask for what there is."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_pv.cli.main import run as llm_pv

FOLDER = Path(__file__).parents[1] / "examples" / "cluster"


def read(name: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    record = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    assert isinstance(record, dict)
    return record


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: str(path.name))
def test_scripts_are_shell(path: Path) -> None:
    result = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert path.read_text().startswith("#!/bin/bash\n#SBATCH")


def test_the_kubernetes_job_has_a_head_without_cores_and_workers() -> None:
    job = read("kuberay.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    mounts = {mount["name"] for mount in head["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounts == {volume["name"] for volume in head["template"]["spec"]["volumes"]}
    images = {group["template"]["spec"]["containers"][0]["image"] for group in (head, workers)}
    assert len(images) == 1, "the same versions everywhere"


def test_the_cloud_cluster_has_a_head_and_workers() -> None:
    cluster = read("ray_up.yaml")
    kinds = cluster["available_node_types"]
    assert cluster["provider"]["type"] == "aws"
    assert kinds[cluster["head_node_type"]]["resources"] == {"CPU": 0}
    assert sum(kind.get("max_workers", 0) for kind in kinds.values()) == cluster["max_workers"]


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: str(path.name))
def test_commands_in_the_examples_have_the_options_they_give(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = re.findall(r"llm-pv (\w+) (--ray [^&'\n]*)", path.read_text("utf-8"))
    assert commands
    for command, words in commands:
        llm_pv([command, "--help"])
        known = capfd.readouterr().out
        for option in re.findall(r"--[a-z-]+", words):
            assert f"{option} " in known
