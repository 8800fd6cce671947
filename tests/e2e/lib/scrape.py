#!/usr/bin/env python3
"""scrape.py KUBECONFIG: asks every component of the one-machine cluster for what it shows of itself, as an administrator."""
import base64, http.client, json, os, ssl, sys, tempfile
import yaml
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exposition

failures = []
user = yaml.safe_load(open(sys.argv[1]))["users"][0]["user"]
context = ssl._create_unverified_context()
with tempfile.NamedTemporaryFile() as f:
    f.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    f.flush()
    context.load_cert_chain(f.name)


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:600]}"))


def get(port, path, tls=True):
    c = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20) if tls else \
        http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    c.request("GET", path)
    r = c.getresponse()
    text = r.read().decode()
    c.close()
    return r.status, text


ALL = "kubernetes_build_info version_info process_cpu_seconds_total process_resident_memory_bytes process_start_time_seconds " \
      "process_open_fds process_max_fds"
CLIENT = "rest_client_requests_total rest_client_request_duration_seconds"
QUEUES = "adds_total depth queue_duration_seconds work_duration_seconds unfinished_work_seconds longest_running_processor_seconds retries_total"
METRICS = {
    "API server": (6443, True, "/metrics", ALL + " apiserver_request_total apiserver_request_duration_seconds apiserver_request_sli_duration_seconds "
        "apiserver_current_inflight_requests apiserver_longrunning_requests apiserver_response_sizes apiserver_storage_objects "
        "apiserver_resource_objects apiserver_storage_size_bytes apiserver_watch_events_total apiserver_admission_controller_admission_duration_seconds "
        "apiserver_admission_step_admission_duration_seconds apiserver_audit_event_total authentication_attempts "
        "authentication_duration_seconds authorization_attempts_total authorization_duration_seconds"),
    "controllers": (10257, True, "/metrics", ALL + "".join(f" workqueue_{q}" for q in QUEUES.split()) +
        " node_collector_zone_health node_collector_zone_size node_collector_unhealthy_nodes_in_zone"),
    "scheduler": (10259, True, "/metrics", ALL + " scheduler_schedule_attempts_total scheduler_scheduling_attempt_duration_seconds "
        "scheduler_pod_scheduling_sli_duration_seconds scheduler_pending_pods scheduler_queue_incoming_pods_total "
        "scheduler_framework_extension_point_duration_seconds scheduler_preemption_attempts_total scheduler_preemption_victims"),
    "kubelet": (10250, True, "/metrics", f"{ALL} {CLIENT} kubelet_running_pods kubelet_running_containers kubelet_desired_pods "
        "kubelet_node_name kubelet_pod_start_duration_seconds kubelet_started_pods_total kubelet_started_containers_total "
        "kubelet_pleg_relist_duration_seconds kubelet_pleg_relist_interval_seconds kubelet_pleg_last_seen_seconds "
        "kubelet_runtime_operations_total kubelet_runtime_operations_duration_seconds kubelet_cgroup_version"),
    "kubelet's resources": (10250, True, "/metrics/resource", "container_cpu_usage_seconds_total container_memory_working_set_bytes "
        "container_start_time_seconds node_cpu_usage_seconds_total node_memory_working_set_bytes pod_cpu_usage_seconds_total "
        "pod_memory_working_set_bytes resource_scrape_error"),
    "kubelet's containers": (10250, True, "/metrics/cadvisor", "container_cpu_usage_seconds_total container_memory_working_set_bytes "
        "container_network_receive_bytes_total machine_cpu_cores machine_memory_bytes"),
    "kubelet's probes": (10250, True, "/metrics/probes", "prober_probe_total"),
    "kubelet's health": (10250, True, "/metrics/slis", "process_start_time_seconds"),
    "service proxy": (10249, False, "/metrics", f"{ALL} {CLIENT} kubeproxy_sync_proxy_rules_duration_seconds "
        "kubeproxy_sync_full_proxy_rules_duration_seconds kubeproxy_sync_proxy_rules_last_timestamp_seconds "
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds kubeproxy_sync_proxy_rules_service_changes_total "
        "kubeproxy_sync_proxy_rules_endpoint_changes_total kubeproxy_sync_proxy_rules_nftables_sync_failures_total"),
}
found = {}
for what, (port, tls, path, names) in METRICS.items():
    status, text = get(port, path, tls)
    try:
        m = exposition.parse(text)
        found[what] = m
        missing = set(names.split()) - set(m)
        check(f"{what}: {path}", status == 200 and not missing, (status, missing))
        different = exposition.differences(m)
        check(f"{what}: {path} as upstream tells it", not different, different)
    except exposition.Broken as e:
        found[what] = {}
        check(f"{what}: {path}", False, e)

k = found["kubelet"]
check("one pod runs", k["kubelet_running_pods"].value() == 1 and k["kubelet_running_containers"].value(container_state="running") == 1)
check("it was started", k["kubelet_started_pods_total"].value() == 1 and k["kubelet_started_containers_total"].value(container_type="container") == 1)
check("the runtime was asked to", k["kubelet_runtime_operations_total"].value(operation_type="start_container") == 1)
check("probes are counted", found["kubelet's probes"]["prober_probe_total"].value(probe_type="Readiness", result="successful") >= 1)
check("the scheduler placed it", found["scheduler"]["scheduler_schedule_attempts_total"].value(result="scheduled") == 1)
check("requests have upstream's labels", found["API server"]["apiserver_request_total"].labels() == {
    "code", "component", "dry_run", "group", "resource", "scope", "subresource", "system_client", "verb", "version"})
check("the kubelet watches", found["API server"]["apiserver_longrunning_requests"].value(verb="WATCH", resource="pods") >= 1)
check("the proxy has synced", found["service proxy"]["kubeproxy_sync_proxy_rules_last_timestamp_seconds"].value(ip_family="IPv4") > 1e9)

for what, port, tls, name, pages in (("API server", 6443, True, "apiserver", "/statusz /flagz"),
                                     ("controllers", 10257, True, "kube-controller-manager", "/statusz /flagz"),
                                     ("scheduler", 10259, True, "kube-scheduler", "/statusz /flagz"),
                                     ("kubelet", 10250, True, "kubelet", "/statusz /flagz"),
                                     ("service proxy", 10249, False, "kube-proxy", "/statusz")):
    for page in pages.split():
        status, text = get(port, page, tls)
        check(f"{what}: {page}", status == 200 and text.startswith(f"\n{name} {page[1:]}\n"), (status, text))
    status, text = get(port, "/debug/pprof/", tls)
    check(f"{what}: /debug/pprof", status == 404 and "perf(1)" in text, (status, text))
for what, port, tls, key in (("controllers", 10257, True, "kubecontrollermanager.config.k8s.io"), ("scheduler", 10259, True, "componentconfig"),
                             ("kubelet", 10250, True, "kubeletconfig"), ("service proxy", 10249, False, "kubeproxy.config.k8s.io")):
    status, text = get(port, "/configz", tls)
    check(f"{what}: /configz", status == 200 and list(json.loads(text)) == [key], (status, text))
check("the kubelet's configuration is true", json.loads(get(10250, "/configz")[1])["kubeletconfig"]["maxPods"] == 110)

want = "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n"
check("kubelet: /healthz?verbose", get(10250, "/healthz?verbose") == (200, want), get(10250, "/healthz?verbose"))
check("kubelet: /healthz on its own port", get(10248, "/healthz", False) == (200, "ok"))
check("… and nothing else there", get(10248, "/metrics", False)[0] == 404)
check("kubelet: /healthz/syncloop", get(10250, "/healthz/syncloop") == (200, "ok"))
check("kubelet: /pods", json.loads(get(10250, "/pods")[1])["kind"] == "PodList")
check("kubelet: /runningpods/", [p["metadata"]["name"] for p in json.loads(get(10250, "/runningpods/")[1])["items"]] == ["runs"])
check("proxy: /proxyMode", get(10249, "/proxyMode", False) == (200, "nftables"))
check("proxy: /healthz", get(10256, "/healthz", False)[0] == 200 and get(10249, "/healthz", False) == (200, "ok"))
check("proxy: who asked is counted", exposition.parse(get(10249, "/metrics", False)[1])["kubeproxy_proxy_healthz_total"].value(code="200") >= 1)
sys.exit(1 if failures else 0)
