"""samples.py: an object of every kind that is stored, for tests that go through all of them: sample(kind, name)."""

POD = {"containers": [{"name": "c", "image": "busybox:1", "command": ["sleep", "1"], "ports": [{"containerPort": 80}],
                       "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}},
                       "env": [{"name": "A", "value": "b"}],
                       "livenessProbe": {"httpGet": {"path": "/", "port": "http"}}}],
       "tolerations": [{"key": "k", "operator": "Exists"}],
       "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1500Mi"}}]}
POD["containers"][0]["ports"][0]["name"] = "http"


def template(name, restart=None):
    return {"metadata": {"labels": {"app": name}}, "spec": {**POD, **({"restartPolicy": restart} if restart else {})}}


def webhook(kind):
    return [{"name": f"{kind}.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
             "clientConfig": {"service": {"name": "s", "namespace": "nowhere"}},
             "namespaceSelector": {"matchLabels": {"never": "there"}},
             "rules": [{"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["things"], "operations": ["CREATE"]}]}]


POLICY_RULES = {"resourceRules": [{"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"]}]}


def body(kind, name):
    selector = {"matchLabels": {"app": name}}
    spec = {
        "PersistentVolumeClaim": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        "PersistentVolume": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}},
        "Pod": POD,
        "ReplicationController": {"replicas": 2, "selector": {"app": name}, "template": template(name)},
        "LimitRange": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]},
        "ResourceQuota": {"hard": {"count/widgets.example.com": "5"}},
        "Service": {"type": "NodePort", "selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}]},
        "Node": {"podCIDR": None, "taints": [{"key": "k", "effect": "NoSchedule"}]},
        "DaemonSet": {"selector": selector, "template": template(name)},
        "Deployment": {"selector": selector, "template": template(name), "replicas": 3,
                       "strategy": {"rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 1}}},
        "ReplicaSet": {"selector": selector, "template": template(name)},
        "StatefulSet": {"selector": selector, "template": template(name), "serviceName": "s"},
        "HorizontalPodAutoscaler": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, "maxReplicas": 3,
                                    "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization",
                                                                                                    "averageUtilization": 50}}}]},
        "CronJob": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": template(name, "OnFailure")}}},
        "Job": {"template": template(name, "Never"), "completions": 2},
        "Lease": {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-01-02T03:04:05.678901Z"},
        "IngressClass": {"controller": "example.com/c"},
        "Ingress": {"rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {
            "service": {"name": "s", "port": {"number": 80}}}}]}}]},
        "IPAddress": {"parentRef": {"resource": "services", "namespace": "default", "name": name}},
        "NetworkPolicy": {"podSelector": selector, "ingress": [{"ports": [{"port": 80, "endPort": 90}],
                                                               "from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
        "ServiceCIDR": {"cidrs": ["10.77.0.0/24" if name == "one" else "10.78.0.0/24"]},
        "PodDisruptionBudget": {"maxUnavailable": "50%", "selector": selector},
        "FlowSchema": {"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 9000},
        "PriorityLevelConfiguration": {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}},
        "DeviceClass": {"selectors": [{"cel": {"expression": 'device.driver == "d.example.com"'}}]},
        "ResourceClaim": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}},
        "ResourceClaimTemplate": {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}},
        "ResourceSlice": {"driver": "d.example.com", "nodeName": "n", "pool": {"name": "p", "resourceSliceCount": 1},
                          "devices": [{"name": "d", "attributes": {"a": {"int": 5}}, "capacity": {"memory": {"value": "1Gi"}}}]},
        "CSIDriver": {"attachRequired": False, "podInfoOnMount": True},
        "CSINode": {"drivers": [{"name": "d.example.com", "nodeID": "x"}]},
        "VolumeAttachment": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
        "CustomResourceDefinition": {"group": "example.com", "scope": "Namespaced", "names": {"plural": name + "s", "kind": name.title()},
                                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                                         "type": "object", "properties": {"spec": {"type": "object", "properties": {
                                             "n": {"type": "integer", "default": 5}}}}}}}]},
        "APIService": {"group": name + ".example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
                       "insecureSkipTLSVerify": True, "service": {"name": "s", "namespace": "default"}},
        "ValidatingAdmissionPolicy": {"matchConstraints": POLICY_RULES, "validations": [{"expression": "true"}]},
        "ValidatingAdmissionPolicyBinding": {"policyName": "p", "validationActions": ["Warn"]},
        "MutatingAdmissionPolicy": {"matchConstraints": POLICY_RULES, "reinvocationPolicy": "Never", "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": '[JSONPatch{op: "add", path: "/a", value: "b"}]'}}]},
        "MutatingAdmissionPolicyBinding": {"policyName": "p"},
    }.get(kind)
    other = {
        "ConfigMap": {"data": {"a": "b"}, "binaryData": {"c": "AAEC/w=="}},
        "Secret": {"type": "Opaque", "data": {"k": "c2VjcmV0"}},
        "ServiceAccount": {"automountServiceAccountToken": False},
        "Namespace": {},
        "Endpoints": {"subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80, "name": "x"}]}]},
        "Event": {"reason": "R", "message": "m", "type": "Normal", "count": 2, "firstTimestamp": "2026-01-02T03:04:05Z",
                  "source": {"component": "c"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}},
        "PodTemplate": {"template": template(name)},
        "ControllerRevision": {"revision": 3, "data": {"spec": {"a": [1, 2.5, "x"]}}},
        "EndpointSlice": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
                          "ports": [{"port": 80, "name": "http", "protocol": "TCP"}]},
        "RuntimeClass": {"handler": "runc", "overhead": {"podFixed": {"cpu": "10m"}}},
        "ClusterRole": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        "Role": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        "ClusterRoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
                               "subjects": [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}]},
        "PriorityClass": {"value": 1000, "description": "d"},
        "CSIStorageCapacity": {"storageClassName": "c", "capacity": "5Gi"},
        "StorageClass": {"provisioner": "p.example.com", "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer"},
        "VolumeAttributesClass": {"driverName": "d.example.com", "parameters": {"a": "b"}},
        "MutatingWebhookConfiguration": {"webhooks": webhook("m")},
        "ValidatingWebhookConfiguration": {"webhooks": webhook("v")},
    }
    other["RoleBinding"] = other["ClusterRoleBinding"]
    if spec is not None:
        return {"spec": {k: v for k, v in spec.items() if v is not None}}
    return other.get(kind)


def sample(kind, name, csr=None):
    """A body to POST, or None when there is none of that kind. `csr`: a certificate request in base64."""
    o = body(kind, name)
    if kind == "CertificateSigningRequest":
        o = {"spec": {"request": csr, "signerName": "example.com/s", "usages": ["client auth"]}}
    if o is None:
        return None
    names = {"CustomResourceDefinition": f"{name}s.example.com", "APIService": f"v1.{name}.example.com",
             "IPAddress": "10.254.0.77" if name == "one" else "10.254.0.78"}
    labels = {"app": name}
    if kind == "IPAddress":
        labels = {"ipaddress.kubernetes.io/managed-by": "example.com", "ipaddress.kubernetes.io/ip-family": "IPv4"}
    return {"metadata": {"name": names.get(kind, name), "labels": labels}, **o}
