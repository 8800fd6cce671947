#!/usr/bin/env python3
"""The programs by name: every flag of upstream's 1.36 is known, the story's of 2016 work, configuration files are read strictly,
and the plain port is there only when asked for."""
import json, os, socket, subprocess, sys, tempfile, time, urllib.request
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from api import SAMPAN, free_port

failures = []


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:600]}"))


def run(program, *args):
    p = subprocess.run([SAMPAN, program, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return p.returncode, p.stderr


unknown = []
for line in open(os.path.join(HERE, "upstream_flags.txt")):
    program, flag = line.split()
    if "unknown flag" in run(program, f"--{flag}=1", "--help")[1]:
        unknown.append(line.strip())
check("every flag of upstream's programs is known", not unknown, unknown)

STORY = {
    "kube-apiserver": "--logtostderr=true --v=0 --etcd-servers= --address=0.0.0.0 --port=8080 --kubelet-port=10250 --allow-privileged=false "
                      "--service-cluster-ip-range=10.254.0.0/16 --admission-control=NamespaceLifecycle,NamespaceExists,LimitRanger,"
                      "SecurityContextDeny,ServiceAccount,ResourceQuota",
    "kube-controller-manager": "--logtostderr=true --v=0 --master=http://centos-master:8080",
    "kube-scheduler": "--logtostderr=true --v=0 --master=http://centos-master:8080",
    "kubelet": "--logtostderr=true --v=0 --api-servers=http://centos-master:8080 --address=0.0.0.0 --port=10250 "
               "--hostname-override=centos-minion1 --allow-privileged=false --configure-cbr0=true --network-plugin=cni "
               "--pod-infra-container-image=registry.access.redhat.com/rhel7/pod-infrastructure:latest --register-node=true",
    "kube-proxy": "--logtostderr=true --v=0 --master=http://centos-master:8080 --proxy-mode=iptables",
}
for program, flags in STORY.items():
    rc, said = run(program, *flags.split(), "--help")
    lines = said.splitlines()
    check(f"{program}: the story's flags are taken", rc == 0, said)
    check(f"{program}: one line for each retired flag", len({l.split("--")[1].split()[0] for l in lines if "--" in l}) == len(lines), said)

rc, said = run("kube-apiserver", "--service-cluster-ip-rang=10.0.0.0/16")
check("an unknown flag names the nearest", rc == 2 and "did you mean --service-cluster-ip-range?" in said, said)
for program, flag in [("kube-apiserver", "--encryption-provider-config=/x"), ("kube-apiserver", "--cors-allowed-origins=x"),
                      ("kubelet", "--read-only-port=10255"), ("kubelet", "--anonymous-auth=true"), ("kubelet", "--authorization-mode=AlwaysAllow")]:
    rc, said = run(program, flag)
    check(f"{program} {flag} is refused", rc == 2 and "is not supported" in said, said)

with tempfile.TemporaryDirectory() as d:
    def config(text):
        path = os.path.join(d, "config.yaml")
        with open(path, "w") as f:
            f.write(text)
        return path

    kubelet = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
    rc, said = run("kubelet", "--config=" + config(kubelet + "maxPodz: 5\n"))
    check("kubelet --config: an unknown field", rc == 2 and 'strict decoding error: unknown field "maxPodz"' in said, said)
    rc, said = run("kubelet", "--config=" + config(kubelet + "maxPods: many\n"))
    check("kubelet --config: a wrong type", rc == 2 and "maxPods: want a number" in said, said)
    rc, said = run("kubelet", "--config=" + config(kubelet + "readOnlyPort: 10255\n"))
    check("kubelet --config: what is not safe", rc == 2 and "readOnlyPort is not supported" in said, said)
    rc, said = run("kubelet", "--config=" + config(kubelet + "maxPods: 1\nmaxPods: 2\n"))
    check("kubelet --config: a field twice", rc == 2 and "maxPods" in said, said)
    # as kubeadm init writes it
    rc, said = run("kubelet", "--config", config(kubelet + """
authentication:
  anonymous: {enabled: false}
  webhook: {cacheTTL: 0s, enabled: true}
  x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}
authorization:
  mode: Webhook
  webhook: {cacheAuthorizedTTL: 0s, cacheUnauthorizedTTL: 0s}
cgroupDriver: systemd
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///var/run/containerd/containerd.sock
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}, verbosity: 0}
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
rotateCertificates: true
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
"""), "--help")
    check("kubelet --config: as kubeadm writes it", rc == 0, said)
    scheduler = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
    rc, said = run("kube-scheduler", "--config", config(scheduler + """
leaderElection: {leaderElect: true, leaseDuration: 15s, renewDeadline: 10s, retryPeriod: 2s}
clientConnection: {kubeconfig: /etc/kubernetes/scheduler.conf}
profiles: [{schedulerName: mine}]
percentageOfNodesToScore: 50
"""), "--help")
    check("kube-scheduler --config", rc == 0, said)
    rc, said = run("kube-scheduler", "--config", config(scheduler + "profiles: [{schedulerName: a}, {schedulerName: b}]\n"))
    check("kube-scheduler --config: two profiles", rc == 2 and "one profile" in said, said)
    rc, said = run("kube-scheduler", "--config", config(scheduler + "leaderElection: {leaseDuration: 5s}\n"), "--master=http://127.0.0.1:1")
    check("kube-scheduler: durations that do not go together", rc == 1 and "must be greater than" in said, said)

    def serves(*flags):
        port, plain = free_port(), free_port()
        args = [f.replace("PLAIN", str(plain)) for f in flags]
        p = subprocess.Popen([SAMPAN, "kube-apiserver", "--data-dir", os.path.join(d, f"data{port}"), "--bind-address=127.0.0.1",
                              f"--secure-port={port}", *args], stderr=subprocess.PIPE, text=True)
        for line in p.stderr:
            if "serving on" in line:
                break
        answer = None
        try:
            body = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [
                {"name": "c", "image": "i", "securityContext": {"privileged": True}}]}}).encode()
            rq = urllib.request.Request(f"http://127.0.0.1:{plain}/api/v1/namespaces/default/pods", body, {"Content-Type": "application/json"})
            answer = json.load(urllib.request.urlopen(rq, timeout=5))
        except urllib.error.HTTPError as e:
            answer = json.load(e)
        except OSError as e:
            answer = e
        p.terminate()
        p.wait()
        return answer

    # without the plugin that wants a service account first
    off = "--disable-admission-plugins=ServiceAccount"
    check("no plain port unless asked for", isinstance(serves("--address=127.0.0.1", off), OSError))
    o = serves("--address=127.0.0.1", "--port=PLAIN", "--allow-privileged=false", off)
    check("--port serves plain HTTP; --allow-privileged=false is enforced", isinstance(o, dict) and
          "spec.containers[0].securityContext.privileged: Forbidden: disallowed by cluster policy" in o.get("message", ""), o)
    o = serves("--insecure-port=PLAIN", "--allow-privileged=true", off)
    check("--allow-privileged=true", isinstance(o, dict) and o.get("kind") == "Pod", o)

sys.exit(1 if failures else 0)
