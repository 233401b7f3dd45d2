"""What is deployed: every file is what its reader accepts, names what exists, and has no rights to spare."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config import load
from tests.servers import ROOT, missing, program

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "docker-compose.yml"
KUBERNETES = DEPLOY / "kubernetes"
UNIT = DEPLOY / "systemd" / "hotkey-exporter.service"
COMMAND = {"serve", "--config", "/etc/hotkey-exporter/config.yaml"}


def accepted(*command: str | Path) -> str:
    """Run a checker; what it says, which fails the test if it is not content."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def tool(name: str) -> Path:
    """A program of the virtual environment."""
    return Path(sys.executable).with_name(name)


def services() -> dict[str, Any]:
    """The services of docker compose."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def manifest(name: str) -> Any:
    """One of Kubernetes' manifests."""
    return yaml.safe_load((KUBERNETES / name).read_text(encoding="utf-8"))


def test_compose_keeps_to_its_specification() -> None:
    """Docker compose's own schema finds nothing."""
    accepted(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_compose_mounts_what_exists_on_loopback_only() -> None:
    """Every file that is mounted is there, and no port is open to others."""
    for name, service in services().items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists(), (name, volume)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_redis_and_prometheus_know_their_arguments(tmp_path: Path) -> None:
    """A real Redis starts with what compose hands it; Debian's Prometheus and Alertmanager know every flag."""
    redis = [program("redis-server", "redis-server"), *services()["redis"]["command"][1:], "--port", "0"]
    said = subprocess.run(redis, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=30).stdout
    assert "Configuration loaded" in said
    for service, name in (("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager")):
        done = subprocess.run([program(name, name), "--help"], capture_output=True, text=True, check=False)
        flags = {flag.split("=")[0] for flag in services()[service]["command"]}
        assert {flag for flag in flags if not re.search(rf"{flag}\b", done.stdout + done.stderr)} == set()


def test_grafana_finds_its_dashboards_and_sources() -> None:
    """The paths of the provisioning files are those that are mounted, and their variables are set."""
    grafana = services()["grafana"]
    inside = {volume.split(":")[1] for volume in grafana["volumes"]}
    provider = yaml.safe_load((ROOT / "dashboards/provisioning/dashboards/hotkey-exporter.yaml").read_text())
    assert {one["options"]["path"] for one in provider["providers"]} <= inside
    sources = (ROOT / "dashboards/provisioning/datasources/hotkey-exporter.yaml").read_text()
    assert {*re.findall(r"\$(\w+)", sources)} <= {*grafana["environment"]}
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).name
    assert (ROOT / "dashboards" / "json" / home).is_file()


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    """`promtool check config`, with the rules where they are mounted; the scrape job is the one of the rules."""
    shutil.copy(DEPLOY / "prometheus" / "prometheus.yml", tmp_path)
    shutil.copytree(ROOT / "alerts" / "rules", tmp_path / "rules")
    said = accepted(program("promtool", "prometheus"), "check", "config", tmp_path / "prometheus.yml")
    assert said.count("rules found") == len(list((ROOT / "alerts" / "rules").iterdir()))
    jobs = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"]
    values = yaml.safe_load((ROOT / "alerts" / "values.yaml").read_text())
    assert values["job"] in [one["job_name"] for one in jobs]


@pytest.mark.parametrize(
    "path", [DEPLOY / "exporter" / "config.yaml", KUBERNETES / "config.yaml"], ids=lambda path: path.parent.name
)
def test_the_exporter_accepts_its_configuration(path: Path, tmp_path: Path) -> None:
    """Each configuration that is deployed is one that the exporter starts with."""
    (tmp_path / "redis-password").write_text("secret")
    text = path.read_text(encoding="utf-8").replace("/run/secrets/hotkey-exporter", str(tmp_path))
    (tmp_path / "config.yaml").write_text(text)
    assert [target.name for target in load(tmp_path / "config.yaml", environ={}).targets]


def test_kubernetes_accepts_the_manifests() -> None:
    """Kubernetes' own schemas find nothing, unknown fields included."""
    files = [KUBERNETES / "deployment.yaml", KUBERNETES / "service.yaml"]
    accepted(tool("kubernetes-validate"), "--strict", "--kubernetes-version", "1.33", *files)


def test_kustomize_names_what_exists() -> None:
    """Each resource is a file beside it, or a directory with a kustomization of its own; one name and label for all."""
    for directory in (KUBERNETES, ROOT / "alerts", ROOT / "dashboards"):
        kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
        assert kustomization["kind"] == "Kustomization"
        generated = [name for one in kustomization.get("configMapGenerator", ()) for name in one["files"]]
        for name in [*kustomization["resources"], *generated]:
            path = directory / name
            assert path.is_file() or (path / "kustomization.yaml").is_file(), path
    ours = {"app.kubernetes.io/name": "hotkey-exporter"}
    deployment, service, monitor = map(manifest, ("deployment.yaml", "service.yaml", "servicemonitor.yaml"))
    assert deployment["spec"]["template"]["metadata"]["labels"] == ours
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == ours
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"] == ours
    assert [one["port"] for one in monitor["spec"]["endpoints"]] == [one["name"] for one in service["spec"]["ports"]]
    mounted = {one["name"] for one in deployment["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounted == {one["name"] for one in deployment["spec"]["template"]["spec"]["volumes"]}


def test_the_pod_has_no_rights() -> None:
    """Not root, nothing to write, no capabilities, no token, no variables of services."""
    pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["securityContext"]["runAsNonRoot"]
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {*container["args"]} == COMMAND
    exporter = services()["hotkey-exporter"]
    assert {*exporter["command"]} == COMMAND
    assert (exporter["read_only"], exporter["cap_drop"]) == (True, ["ALL"])


def test_the_image_is_made_of_what_exists_and_is_not_root() -> None:
    """What is copied exists and is let in; bases have versions; the user is a number, the same as the pod's."""
    lines = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8")).splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    known = {
        "FROM",
        "WORKDIR",
        "RUN",
        "COPY",
        "ENV",
        "USER",
        "EXPOSE",
        "HEALTHCHECK",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    assert {name for name, _ in steps} <= {*known, "CMD"}
    assert all(re.match(r"\S+:\d[\w.-]+( AS \w+)?$", rest) for name, rest in steps if name == "FROM")
    sources = [rest.split()[:-1] for name, rest in steps if name == "COPY" and "--from" not in rest]
    copied = {source for some in sources for source in some}
    assert all((ROOT / source).exists() for source in copied)
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert copied == {line.removeprefix("!") for line in allowed if line.startswith("!")}
    users = [rest for name, rest in steps if name == "USER"]
    pod = manifest("deployment.yaml")["spec"]["template"]["spec"]["securityContext"]
    assert users == [f"{pod['runAsUser']}:{pod['runAsGroup']}"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_the_image_is_made_of_is_enough(tmp_path: Path) -> None:
    """The image's first stage without an engine: the files that it copies install, and the program runs."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, tmp_path / source)
    [wanted] = re.findall(r"pip install --no-cache-dir '\.(\[.+\])'", text)
    accepted("python3", "-m", "venv", "--without-pip", tmp_path / "venv")
    pip = ("python3", "-m", "pip", "--python", tmp_path / "venv" / "bin" / "python", "install", "--quiet")
    accepted("env", "PIP_USER=0", *pip, f"{tmp_path}{wanted}")
    assert accepted(tmp_path / "venv" / "bin" / "hotkey-exporter", "--version").strip()
    [check] = re.findall(r'CMD \["python", "-c", "(.+)"\]', text)
    compile(check, "the health check", "exec")


def test_systemd_accepts_the_unit_and_finds_it_tight(tmp_path: Path) -> None:
    """`systemd-analyze verify` is silent; `security` rates the exposure 2.0 or less of 10 (OK)."""
    if (analyze := shutil.which("systemd-analyze")) is None:
        missing("systemd-analyze", optional=True)
    unit = tmp_path / UNIT.name
    unit.write_text(
        UNIT.read_text(encoding="utf-8").replace("/opt/hotkey-exporter/bin/hotkey-exporter", sys.executable)
    )
    assert accepted(str(analyze), "verify", unit).strip() == ""
    said = accepted(str(analyze), "security", "--offline=true", UNIT)
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= 2.0
