"""Kubernetes: Prefect renders the base job template, and the manifests fit together."""

import asyncio
import copy
import json
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.utilities.templating import find_placeholders
from prefect.workers.base import BaseJobConfiguration
from typer.main import get_command

from flows.cli.app import app
from flows.recipe import EngineConfig

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments" / "kubernetes"
TEMPLATE = json.loads((FOLDER / "base-job-template.json").read_text())
VARIABLES = TEMPLATE["variables"]
MANIFESTS = [
    one
    for path in ("server.yaml", "worker.yaml")
    for one in yaml.safe_load_all((FOLDER / path).read_text())
]
SERVICES = yaml.safe_load((ROOT / "deployments" / "compose" / "compose.yaml").read_text())[
    "services"
]


RAY, POLICY = yaml.safe_load_all((FOLDER / "ray.yaml").read_text())
GROUPS = {
    "head": RAY["spec"]["headGroupSpec"],
    **{one["groupName"]: one for one in RAY["spec"]["workerGroupSpecs"]},
}


class Job(BaseJobConfiguration):
    """What is read back of the rendered template; the kubernetes worker's own class reads more."""

    namespace: str
    job_manifest: dict[str, Any]
    pod_watch_timeout_seconds: int


def render(kind=Job, **values):
    """Render the template by Prefect's own code; a block or variable would need the server."""
    jsonschema.validate(values, VARIABLES)
    nowhere = PrefectClient("http://127.0.0.1:9/api")
    template = copy.deepcopy(TEMPLATE)
    return asyncio.run(kind.from_template_and_values(template, values, client=nowhere))


def pod(job):
    return job.job_manifest["spec"]["template"]["spec"]


def container(job):
    (found,) = pod(job)["containers"]
    return found


def of_kind(kind):
    return {one["metadata"]["name"]: one for one in MANIFESTS if one["kind"] == kind}


def test_every_variable_is_used_and_every_placeholder_is_one():
    placeholders = {one.name for one in find_placeholders(TEMPLATE["job_configuration"])}
    assert placeholders == set(VARIABLES["properties"])
    jsonschema.Draft202012Validator.check_schema(VARIABLES)


def test_every_variable_is_explained_and_its_default_is_allowed():
    for name, said in VARIABLES["properties"].items():
        assert said.get("description"), name
        if "default" in said and name != "cluster_config":
            jsonschema.validate(said["default"], said)


def test_it_has_all_that_prefect_s_own_template_has():
    """The definition that Prefect itself ships; fields may be added to it, none left out."""
    import prefect

    views = Path(prefect.__file__).parent / "server" / "api" / "collections_data" / "views"
    shipped = json.loads((views / "aggregate-worker-metadata.json").read_text())
    plain = shipped["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
    assert set(plain["variables"]["properties"]) <= set(VARIABLES["properties"])
    assert set(plain["job_configuration"]) <= set(TEMPLATE["job_configuration"])

    def assert_within(part, whole, where):
        for key, value in part.items():
            assert key in whole, f"{where}.{key}"
            if isinstance(value, dict):
                assert_within(value, whole[key], f"{where}.{key}")

    manifest = "job_manifest"
    assert_within(
        plain["job_configuration"][manifest], TEMPLATE["job_configuration"][manifest], manifest
    )


def test_untouched_it_is_a_gpu_job_that_is_not_root():
    job = render()
    assert job.namespace == "ganmill"
    assert job.pod_watch_timeout_seconds == 900
    spec = job.job_manifest["spec"]
    assert spec["backoffLimit"] == 0, "Prefect decides on another attempt, not Kubernetes"
    assert pod(job)["restartPolicy"] == "Never"
    assert pod(job)["securityContext"]["runAsNonRoot"] is True
    assert pod(job)["automountServiceAccountToken"] is False
    assert pod(job)["tolerations"][0]["key"] == "nvidia.com/gpu"
    limits = container(job)["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == 1
    assert {"cpu", "memory"} <= set(limits)
    assert container(job)["securityContext"]["allowPrivilegeEscalation"] is False
    assert container(job)["envFrom"] == [{"secretRef": {"name": "ganmill-lake"}}]
    assert not find_placeholders(job.job_manifest)


def test_the_user_of_the_pod_is_that_of_the_image():
    user = pod(render())["securityContext"]["runAsUser"]
    for kind in ("cpu", "gpu"):
        text = (ROOT / "deployments" / "docker" / f"{kind}.Dockerfile").read_text()
        assert f"USER {user}:{user}" in text


def test_shared_memory_and_the_work_folder_are_volumes():
    job = render(shared_memory="4Gi")
    volumes = {one["name"]: one["emptyDir"] for one in pod(job)["volumes"]}
    mounts = {one["mountPath"]: one["name"] for one in container(job)["volumeMounts"]}
    assert volumes[mounts["/dev/shm"]] == {"medium": "Memory", "sizeLimit": "4Gi"}  # noqa: S108
    home = volumes[mounts["/var/lib/ganmill"]]
    assert "medium" not in home


def test_a_run_on_the_processor_of_a_chosen_node():
    job = render(gpu_count=0, tolerations=[], node_selector={"pool": "cpu"}, image="x/ganmill:cpu")
    assert container(job)["resources"]["limits"]["nvidia.com/gpu"] == 0
    assert container(job)["image"] == "x/ganmill:cpu"
    assert pod(job)["nodeSelector"] == {"pool": "cpu"}
    assert pod(job)["tolerations"] == []


def test_one_pod_with_several_gpus():
    said = yaml.safe_load((FOLDER / "several-gpus.yaml").read_text())
    variables = said["job_variables"]
    job, usual = render(**variables), render()
    limits, before = (container(one)["resources"]["limits"] for one in (job, usual))
    assert limits["nvidia.com/gpu"] == variables["gpu_count"] > 1
    assert (limits["cpu"], limits["memory"]) != (before["cpu"], before["memory"])
    volumes = {one["name"]: one["emptyDir"] for one in pod(job)["volumes"]}
    mounts = {one["mountPath"]: one["name"] for one in container(job)["volumeMounts"]}
    assert volumes[mounts["/dev/shm"]]["sizeLimit"] == variables["shared_memory"]  # noqa: S108
    assert len(pod(job)["containers"]) == 1


@pytest.mark.parametrize(
    "values", [{"gpu_count": -1}, {"tolerations": "all"}, {"grace_seconds": 5}, {"secret_name": 1}]
)
def test_wrong_job_variables_are_refused(values):
    with pytest.raises(jsonschema.ValidationError):
        render(**values)


def test_the_kubernetes_worker_itself_accepts_it():
    worker = pytest.importorskip("prefect_kubernetes.worker")
    plain = worker.KubernetesWorker.get_default_base_job_template()
    assert set(plain["variables"]["properties"]) <= set(VARIABLES["properties"])
    job = render(worker.KubernetesWorkerJobConfiguration, env={"A": "1"})
    job.prepare_for_flow_run(FlowRun(id=uuid.uuid4(), flow_id=uuid.uuid4(), name="digits, seed 0"))
    assert container(job)["args"] == ["prefect", "flow-run", "execute"]
    told = {one["name"]: one["value"] for one in container(job)["env"]}
    assert told["A"] == "1"
    assert told["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"
    assert job.job_manifest["spec"]["template"]["metadata"]["labels"]["prefect.io/flow-run-id"]


def test_the_manifests_are_listed_and_fit_together():
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert listed["resources"] == ["server.yaml", "worker.yaml"]
    assert listed["namespace"] == VARIABLES["properties"]["namespace"]["default"]
    accounts = of_kind("ServiceAccount")
    worker = of_kind("Deployment")["ganmill-worker"]["spec"]["template"]["spec"]
    command = worker["containers"][0]["args"]
    assert command[:2] == ["ganmill", "worker"]
    get_command(app).commands["worker"].make_context("worker", command[2:])
    assert worker["serviceAccountName"] in accounts
    assert VARIABLES["properties"]["service_account_name"]["default"] in accounts
    (binding,) = of_kind("RoleBinding").values()
    assert binding["roleRef"]["name"] in of_kind("Role")
    assert [one["name"] for one in binding["subjects"]] == [worker["serviceAccountName"]]
    (service,) = of_kind("Service").values()
    server = of_kind("Deployment")["ganmill-server"]["spec"]["template"]
    assert service["spec"]["selector"].items() <= server["metadata"]["labels"].items()
    for one in of_kind("Deployment").values():
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"] == labels


@pytest.mark.parametrize("name", sorted(of_kind("Deployment")))
def test_no_pod_is_root_and_each_says_whether_it_is_well(name):
    spec = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    assert spec["securityContext"] == pod(render())["securityContext"]
    (one,) = spec["containers"]
    assert one["securityContext"] == container(render())["securityContext"]
    assert one["livenessProbe"]["httpGet"]["port"] in {port["name"] for port in one["ports"]}
    assert "memory" in one["resources"]["limits"]
    assert {mount["name"] for mount in one["volumeMounts"]} == {v["name"] for v in spec["volumes"]}


def variables(name):
    """Return variable → value, or the secret that it is from."""
    (one,) = of_kind("Deployment")[name]["spec"]["template"]["spec"]["containers"]
    return {
        said["name"]: said.get("value") or said["valueFrom"]["secretKeyRef"]["name"]
        for said in one["env"]
    }


def test_the_server_is_told_what_compose_tells_it():
    told = variables("ganmill-server")
    compose = SERVICES["server"]
    secrets = {one["target"] for one in compose["secrets"]}
    assert set(told) == {*compose["environment"], *secrets}
    different = {"PREFECT_SERVER_DATABASE_HOST"}
    for variable, value in compose["environment"].items():
        assert told[variable] == value or variable in different
    assert {told[variable] for variable in secrets} == {"ganmill-database", "ganmill-login"}


def test_the_login_never_stands_in_a_job():
    told = variables("ganmill-worker")
    prefix = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_"
    assert told["PREFECT_API_AUTH_STRING"] == told[prefix + "NAME"] == "ganmill-login"
    assert told[prefix + "KEY"] == "login"
    assert told["PREFECT_API_URL"].removeprefix("http://").split(":")[0] in of_kind("Service")


def test_the_worker_sees_its_namespace_only():
    rules = [rule for role in of_kind("Role").values() for rule in role["rules"]]
    assert not of_kind("ClusterRole")
    assert {resource for rule in rules for resource in rule["resources"]} == {
        "jobs",
        "pods",
        "pods/log",
        "pods/status",
    }
    seen = variables("ganmill-worker")["PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES"]
    assert seen == yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["namespace"]


# The Ray cluster


def test_the_ray_cluster_is_of_the_pinned_ray_and_has_no_place_in_what_is_always_applied():
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    assert (RAY["apiVersion"], RAY["kind"]) == ("ray.io/v1", "RayCluster")
    assert RAY["spec"]["rayVersion"] == pins["ray"]
    said = [(FOLDER / "ray.yaml").read_text()]
    said += [path.read_text() for path in (ROOT / "deployments" / "docker").glob("*.Dockerfile")]
    assert all(f"ray[default,client]=={pins['ray']}" in text for text in said)
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert "ray.yaml" not in listed  # its kind is unknown where there is no KubeRay


def test_recipes_name_the_service_that_kuberay_makes_for_its_head():
    address = f"ray://{RAY['metadata']['name']}-head-svc:10001"
    assert address in (FOLDER / "ray.yaml").read_text()
    assert address in (ROOT / "docs" / "production.md").read_text()
    EngineConfig(kind="ray", address=address)
    (head,) = GROUPS["head"]["template"]["spec"]["containers"]
    assert 10001 in {port["containerPort"] for port in head["ports"]}


@pytest.mark.parametrize("name", GROUPS)
def test_no_pod_of_ray_is_root_and_each_has_its_limits(name):
    spec = GROUPS[name]["template"]["spec"]
    assert spec["securityContext"] == pod(render())["securityContext"]
    (one,) = spec["containers"]
    assert one["securityContext"] == container(render())["securityContext"]
    assert "memory" in one["resources"]["limits"]
    volumes = {each["name"]: each["emptyDir"] for each in spec["volumes"]}
    assert {mount["name"] for mount in one["volumeMounts"]} == set(volumes)
    assert all("sizeLimit" in each for each in volumes.values())
    store_bytes = int(GROUPS[name]["rayStartParams"]["object-store-memory"])
    assert volumes["shared-memory"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    assert store_bytes < 2**30


def test_the_head_makes_no_shards_and_the_nodes_are_for_processors_or_gpus():
    assert GROUPS["head"]["rayStartParams"]["num-cpus"] == "0"
    assert GROUPS["head"]["rayStartParams"]["disable-usage-stats"] == "true"
    assert RAY["spec"]["enableInTreeAutoscaling"] is True
    for name in ("processors", "gpus"):
        group, spec = GROUPS[name], GROUPS[name]["template"]["spec"]
        assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]
        assert spec["serviceAccountName"] in of_kind("ServiceAccount")
        (one,) = spec["containers"]
        assert one["envFrom"] == [{"secretRef": {"name": "ganmill-lake", "optional": True}}]
        assert one["resources"]["limits"].get("nvidia.com/gpu", 0) == (name == "gpus")


def test_only_pods_of_the_namespace_reach_the_ray_cluster():
    selected = POLICY["spec"]["podSelector"]["matchLabels"]
    assert selected == {"ray.io/cluster": RAY["metadata"]["name"]}
    assert POLICY["spec"]["policyTypes"] == ["Ingress"]
    assert POLICY["spec"]["ingress"] == [{"from": [{"podSelector": {}}]}]
