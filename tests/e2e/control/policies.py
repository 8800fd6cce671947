#!/usr/bin/env python3
"""Admission policies: validations, messages, reasons, parameters, matching, audit, warnings, mutations, what is checked of them."""
import json, os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control

failures = []
API = "/apis/admissionregistration.k8s.io/v1/"
CM = "/api/v1/namespaces/default/configmaps"
KINDS = {"validating": ("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
         "mutating": ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")}


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:900]}"), flush=True)


def rules(*resources, groups=("",), versions=("v1",), operations=("CREATE", "UPDATE", "DELETE"), **more):
    return {"apiGroups": list(groups), "apiVersions": list(versions), "operations": list(operations), "resources": list(resources), **more}


def audit_policy(path):
    with open(path, "w") as f:
        f.write("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, resources: [{group: '', resources: [configmaps]}]}]\n")


control = Control()
audit_policy(control.dir + "/audit.yaml")
control.extra = ["--audit-policy-file=" + control.dir + "/audit.yaml", "--audit-log-path=" + control.dir + "/audit.log"]

with control as c:
    names = iter(f"m{i}" for i in range(1000))
    MERGE = {"Content-Type": "application/merge-patch+json"}

    class applied:
        """A policy and its bindings; gone at the end of the with block."""

        def __init__(self, kind, spec, *bindings, name="p"):
            self.kind, self.name, self.bindings = kind, name, bindings or ({},)
            self.spec = {"matchConstraints": {"resourceRules": [rules("configmaps")]}, **spec}

        def __enter__(self):
            policies, bindings = KINDS[self.kind]
            self.status, self.answer = c.ask("POST", API + policies, {"metadata": {"name": self.name}, "spec": self.spec})
            check(f"{self.kind} policy is taken", self.status == 201, self.answer)
            for i, b in enumerate(self.bindings):
                actions = {} if self.kind == "mutating" else {"validationActions": ["Deny"]}
                status, o = c.ask("POST", API + bindings, {"metadata": {"name": f"b{i}"}, "spec": {"policyName": self.name, **actions, **b}})
                check("its binding is taken", status == 201, o)
            return self

        def __exit__(self, *_):
            for i in range(len(self.bindings)):
                c.ask("DELETE", API + KINDS[self.kind][1] + f"/b{i}")
            c.ask("DELETE", API + KINDS[self.kind][0] + "/" + self.name)

    def validating(spec, *bindings, **kw):
        return applied("validating", spec, *bindings, **kw)

    def validations(*v, **spec):
        return {"validations": [{"expression": e} if isinstance(e, str) else e for e in v], **spec}

    def mutating(*mutations, bindings=(), again="Never", **spec):
        return applied("mutating", {"reinvocationPolicy": again, "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": m}} if isinstance(m, str) else m for m in mutations],
            "matchConstraints": {"resourceRules": [rules("configmaps", operations=["CREATE", "UPDATE"])]}, **spec}, *bindings)

    def create(data=None, ns="default", query="", **meta):
        return c.ask("POST", f"/api/v1/namespaces/{ns}/configmaps" + query, {"metadata": {"name": next(names), **meta}, **({"data": data} if data else {})})

    def denied(answer, words, code=422, reason="Invalid", binding="b0", policy="p"):
        status, o = answer
        text = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {words}"
        return (status == code and o["reason"] == reason and o["message"].endswith(" is forbidden: " + text)
                and o["details"]["causes"] == [{"message": text}])

    no_x = "!has(object.data) || !('x' in object.data)"

    # --- validations, messages and reasons ---
    with validating(validations(no_x)):
        got = create({"x": "1"})
        check("a validation says no", denied(got, "failed expression: " + no_x), got)
        check("what it allows passes", create({"y": "1"})[0] == 201)
    check("without policies everything passes", create({"x": "1"})[0] == 201)
    with validating(validations({"expression": no_x, "message": " no x "}, {"expression": "object.metadata.name != ''", "reason": "Forbidden"})):
        check("a fixed message", denied(create({"x": "1"}), "no x"))
    with validating(validations({"expression": no_x, "message": "static", "messageExpression": "'got ' + object.data.x", "reason": "Forbidden"})):
        check("a message of its own making, with a reason", denied(create({"x": "1"}), "got 1", 403, "Forbidden"))
        check("a message of two lines is not shown", denied(create({"x": "1\n2"}), "static", 403, "Forbidden"))
    with validating(validations({"expression": no_x, "messageExpression": "string(object.data.nothere)", "reason": "RequestEntityTooLarge"})):
        check("a message that cannot be made", denied(create({"x": "1"}), "failed expression: " + no_x, 413, "RequestEntityTooLarge"))
    with validating(validations("object.data.nothere == '1'")):
        got = create({"x": "1"})
        check("an error denies", denied(got, "expression 'object.data.nothere == '1'' resulted in error: no such key: nothere"), got)
    with validating(validations("object.data.nothere == '1'", failurePolicy="Ignore")):
        check("unless failures are ignored", create({"x": "1"})[0] == 201)
    with validating(validations("[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, "
                                "[1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, a+b+c+d+e > 0)))))")):
        got = create()
        check("what costs too much is an error", got[0] == 422 and "actual cost limit exceeded" in got[1]["message"], got)

    # --- what they see ---
    with validating(validations("oldObject == null ? request.operation == 'CREATE' : object == null ? request.operation == 'DELETE' : request.operation == 'UPDATE'",
                                "request.operation == 'DELETE' || object.kind == 'ConfigMap' && object.apiVersion == 'v1' && object.metadata.namespace == 'default'",
                                "request.kind.kind == 'ConfigMap' && request.resource.resource == 'configmaps' && request.resource.group == ''",
                                "request.userInfo.username == 'kubernetes-admin' && request.userInfo.groups.exists(g, g == 'system:masters')",
                                "request.namespace == 'default' && request.name != '' && !has(request.subResource) && request.dryRun == false",
                                "request.options.kind in ['CreateOptions', 'UpdateOptions', 'PatchOptions', 'DeleteOptions']",
                                "namespaceObject.metadata.name == 'default' && namespaceObject.status.phase == 'Active'",
                                "authorizer.requestResource.check('get').allowed() && authorizer.path('/healthz').check('get').allowed()",
                                "!authorizer.serviceAccount('default', 'x').group('').resource('secrets').namespace('default').check('get').allowed()",
                                "request.operation == 'UPDATE' ? oldObject.data.k == '1' && object.data.k == '2' : true")):
        status, o = create({"k": "1"})
        check("all variables at a creation", status == 201, o)
        path = CM + "/" + o["metadata"]["name"]
        got = c.ask("PATCH", path, '{"data":{"k":"2"}}', headers=MERGE)
        check("at an update", got[0] == 200, got)
        got = c.ask("DELETE", path)
        check("at a deletion", got[0] == 200, got)
        got = create(query="?dryRun=All")
        check("a dry run is seen", got[0] == 422 and "request.dryRun == false" in got[1]["message"], got)
    with validating(validations("variables.twice == 4", "variables.never == 1 || true", variables=[
            {"name": "n", "expression": "size(object.data)"}, {"name": "twice", "expression": "variables.n * 2"}, {"name": "never", "expression": "object.nothere"}])):
        check("variables", create({"a": "1", "b": "2"})[0] == 201)
        check("they are computed for each write", create({"a": "1"})[0] == 422)
    with validating(validations("variables.bad == 1", variables=[{"name": "bad", "expression": "object.nothere"}])):
        got = create()
        check("a variable that fails", got[0] == 422 and 'composited variable "bad" fails to evaluate: no such key: nothere' in got[1]["message"], got)

    # --- for what ---
    with validating(validations("false", matchConditions=[{"name": "c", "expression": "object.metadata.name.startsWith('no')"}])):
        check("matchConditions: not this one", create()[0] == 201)
        got = c.ask("POST", CM, {"metadata": {"name": "not-this"}})
        check("matchConditions: this one", denied(got, "failed expression: false"), got)
    with validating(validations("false", matchConstraints={"resourceRules": [rules("configmaps")], "objectSelector": {"matchLabels": {"a": "b"}},
                                                           "excludeResourceRules": [rules("configmaps", resourceNames=["free"])]})):
        check("a label that is not there", create()[0] == 201)
        check("a label that is", create(labels={"a": "b"})[0] == 422)
        check("a name that is excluded", c.ask("POST", CM, {"metadata": {"name": "free", "labels": {"a": "b"}}})[0] == 201)
    c.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "other", "labels": {"chosen": "yes"}}})
    with validating(validations("false"), {"matchResources": {"namespaceSelector": {"matchLabels": {"chosen": "yes"}}}}):
        check("a binding for other namespaces", create()[0] == 201)
        check("a binding for this namespace", create(ns="other")[0] == 422)
    with validating(validations("false"), {"matchResources": {"resourceRules": [rules("configmaps", resourceNames=["x"])]}}, {"matchResources": {"resourceRules": [rules("secrets")]}}):
        check("two bindings, neither for this", create()[0] == 201)
    with validating(validations("request.kind.version == 'v1' && request.requestKind.group == 'events.k8s.io'",
                                matchConstraints={"resourceRules": [rules("events")], "matchPolicy": "Equivalent"})):
        got = c.ask("POST", "/apis/events.k8s.io/v1/namespaces/default/events?dryRun=All", {"metadata": {"name": "e"}, "eventTime": "2026-01-01T00:00:00.000000Z",
                    "reportingController": "a.b/c", "reportingInstance": "i", "action": "A", "reason": "R", "type": "Normal", "regarding": {"namespace": "default"}})
        check("the same objects in another version", got[0] == 201, got)
    with validating(validations("false", matchConstraints={"resourceRules": [rules("*", groups=["*"], versions=["*"])]})):
        check("policies do not look at policies", c.ask("DELETE", API + "validatingadmissionpolicybindings/b0")[0] == 200)

    # --- parameters ---
    kind = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "matchConstraints": {"resourceRules": [rules("secrets")]}}
    c.ask("POST", CM, {"metadata": {"name": "limit", "labels": {"use": "me"}}, "data": {"max": "1"}})
    c.ask("POST", CM, {"metadata": {"name": "limit2", "labels": {"use": "me"}}, "data": {"max": "2"}})

    def secret(n, **kw):
        return c.ask("POST", "/api/v1/namespaces/default/secrets?dryRun=All", {"metadata": {"name": "s"}, "stringData": {f"k{i}": "v" for i in range(n)}})

    small = {"expression": "size(object.data) <= int(params.data.max)", "messageExpression": "'more than ' + params.data.max"}
    with validating(validations(small, **kind), {"paramRef": {"name": "limit", "namespace": "default", "parameterNotFoundAction": "Deny"}}):
        check("a parameter by name", secret(1)[0] == 201)
        check("it is what the policy goes by", denied(secret(2), "more than 1"), secret(2))
        c.ask("PATCH", CM + "/limit", '{"data":{"max":"3"}}', headers=MERGE)
        check("a changed parameter counts at once", secret(3)[0] == 201, secret(3))
        c.ask("PATCH", CM + "/limit", '{"data":{"max":"1"}}', headers=MERGE)
    with validating(validations(small, **kind), {"paramRef": {"selector": {"matchLabels": {"use": "me"}}, "parameterNotFoundAction": "Deny"}}):
        check("parameters by selector: all have to agree", secret(1)[0] == 201 and denied(secret(2), "more than 1"), secret(2))
    with validating(validations(small, **kind), {"paramRef": {"name": "nothere", "parameterNotFoundAction": "Deny"}}):
        check("a parameter that is missing", denied(secret(1), "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"), secret(1))
    with validating(validations(small, **kind), {"paramRef": {"name": "nothere", "parameterNotFoundAction": "Allow"}}):
        check("or need not be there", secret(9)[0] == 201)
    with validating(validations("params == null", **kind)):
        check("no paramRef: null", secret(1)[0] == 201, secret(1))
    with validating(validations("true", **{**kind, "paramKind": {"apiVersion": "example.com/v1", "kind": "Limit"}}), {"paramRef": {"name": "x", "parameterNotFoundAction": "Deny"}}):
        status, o = secret(1)
        check("a kind that nobody knows", status == 422 and o["message"].endswith(
            "ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Limit'"), o)

    # --- warnings, audit ---
    def warned(data):
        connection = c.connect()
        connection.request("POST", CM, json.dumps({"metadata": {"name": next(names)}, "data": data}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Warning"), answer.getheader("Audit-Id")

    def annotations(audit_id):  # its line is written when the answer is on its way
        deadline = time.time() + 5
        while time.time() < deadline:
            for line in open(control.dir + "/audit.log"):
                event = json.loads(line) if line.endswith("\n") else {}
                if event.get("auditID") == audit_id and event["stage"] == "ResponseComplete":
                    return event.get("annotations", {})
            time.sleep(0.02)
        return {}

    with validating(validations({"expression": no_x, "message": "careful"}, auditAnnotations=[
            {"key": "keys", "valueExpression": "'n=' + string(size(object.data))"}, {"key": "none", "valueExpression": "null"}]), {"validationActions": ["Warn", "Audit"]}):
        status, warning, audit_id = warned({"x": "1"})
        check("a warning", status == 201 and warning == "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b0': careful\"", warning)
        got = annotations(audit_id)
        check("the failure is in the audit log", json.loads(got["validation.policy.admission.k8s.io/validation_failure"]) == [
            {"message": "careful", "policy": "p", "binding": "b0", "expressionIndex": 0, "validationActions": ["Warn", "Audit"]}], got)
        check("and what the policy notes", got.get("p/keys") == "n=1" and "p/none" not in got, got)
    with validating({"auditAnnotations": [{"key": "k", "valueExpression": "string(object.data.nothere)"}]}):
        got = create({"x": "1"})
        check("an annotation that fails denies", denied(got, "expression 'string(object.data.nothere)' resulted in error: no such key: nothere"), got)

    # --- mutations ---
    with mutating('[JSONPatch{op: "add", path: "/metadata/labels", value: {"x": variables.a}}, '
                  'JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("k8s.io/a"), value: string(size(variables.a))}]',
                  '[JSONPatch{op: "add", path: "/data", value: {"seen": object.metadata.labels.x}}]',
                  variables=[{"name": "a", "expression": "object.metadata.name"}]):
        status, o = c.ask("POST", CM + "?dryRun=All", {"metadata": {"name": "abc"}})
        check("JSON patches, one after the other", status == 201 and o["metadata"]["labels"] == {"x": "abc", "k8s.io/a": "3"} and o["data"] == {"seen": "abc"}, o)
    with mutating('[JSONPatch{op: "remove", path: "/data/nothere"}]'):
        status, o = create({"a": "b"})
        text = "policy 'p' with binding 'b0' denied request: JSON Patch: error in remove for path: '/data/nothere': Unable to remove nonexistent key: nothere: missing value"
        check("a patch that does not apply", (status, o["message"], o["reason"], o["details"]["causes"]) == (403, text, "Invalid", [{"message": text}]), o)
    with mutating('[JSONPatch{op: "remove", path: "/data/nothere"}]', failurePolicy="Ignore"):
        check("or is ignored", create({"a": "b"})[0] == 201)
    with mutating('[JSONPatch{op: "test", path: "/metadata/name", value: "nope"}, JSONPatch{op: "add", path: "/metadata/labels", value: {"a": "b"}}]'):
        status, o = create()
        check("a failed test leaves the object as it is", status == 201 and "labels" not in o["metadata"], o)
    with mutating('[JSONPatch{op: "add", path: "/foo", value: 1}]'):
        status, o = create()
        check("a field that does not exist", status == 500 and o["message"] == 'Internal error occurred: strict decoding error: unknown field "foo"', o)
    with mutating('[JSONPatch{op: "add", path: "/metadata/annotations", value: Object.metadata.annotations{a: "1"}}]',
                  matchConditions=[{"name": "c", "expression": "request.operation == 'CREATE'"}]):
        status, o = create()
        check("a value of an object's type", status == 201 and o["metadata"]["annotations"] == {"a": "1"}, o)
    with mutating('[JSONPatch{op: "add", path: "/data", value: {"n": params.data.max}}]', paramKind={"apiVersion": "v1", "kind": "ConfigMap"}, bindings=(
            {"paramRef": {"name": "limit", "namespace": "default", "parameterNotFoundAction": "Deny"}},)):
        status, o = create()
        check("mutations have parameters", status == 201 and o["data"] == {"n": "1"}, o)

    def apply(expression):
        return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}

    pods = {"matchConstraints": {"resourceRules": [rules("pods", operations=["CREATE"])]}}
    pod = {"metadata": {"name": "p", "labels": {"q": "1"}}, "spec": {"automountServiceAccountToken": False, "containers": [{"name": "c", "image": "x", "args": ["a"]}]}}
    with mutating(apply('Object{metadata: Object.metadata{labels: {"m": "yes"}}, spec: Object.spec{'
                        'containers: [Object.spec.containers{name: "c", image: "y"}], initContainers: [Object.spec.initContainers{name: "i", image: "j"}]}}'), **pods):
        status, o = c.ask("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod)
        check("an apply configuration is merged", status == 201 and o["metadata"]["labels"] == {"q": "1", "m": "yes"} and o["spec"]["containers"][0]["image"] == "y"
              and o["spec"]["containers"][0]["args"] == ["a"] and o["spec"]["initContainers"][0]["name"] == "i", o)
    with mutating(apply('Object{spec: Object.spec{initContainers: [Object.spec.initContainers{name: "i", image: "j", args: ["a"]}]}}'), **pods):
        status, o = c.ask("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod)
        check("it may not touch what is atomic", status == 403 and o["message"] == "policy 'p' with binding 'b0' denied request: error applying patch: "
              "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.initContainers[0].args", o)
    with mutating(apply('Object{metadata: Object.wrong{labels: {"a": "b"}}}')):
        status, o = create()
        check("types are named after fields", status == 403 and o["message"].endswith("type mismatch: unexpected type name \"Object.wrong\", expected "
              "\"Object.metadata\", which matches field name path from root Object type"), o)

    # --- what is taken ---
    def refused(spec, field, words, kind="validating", old=None):
        body = {"metadata": {"name": "bad"}, "spec": {"matchConstraints": {"resourceRules": [rules("configmaps")]}, **spec}}
        status, o = c.ask("POST", API + KINDS[kind][0], body)
        causes = {x["field"]: x["message"] for x in o.get("details", {}).get("causes", [])} if status == 422 else {}
        check(f"refused: {field}: {words}", words in causes.get(field, ""), (status, o))

    refused(validations("1"), "spec.validations[0].expression", 'Invalid value: "1": must evaluate to bool but got int')
    refused(validations("x"), "spec.validations[0].expression", "compilation failed: ERROR: <input>:1:1: undeclared reference to 'x' (in container '')")
    refused(validations("variables.x"), "spec.validations[0].expression", "undeclared reference to 'variables'")
    refused(validations("params == null"), "spec.validations[0].expression", "undeclared reference to 'params'")
    refused(validations("request.foo == 1"), "spec.validations[0].expression", "undefined field 'foo'")
    refused(validations({"expression": "true", "messageExpression": "1"}), "spec.validations[0].messageExpression", "must evaluate to string but got int")
    refused(validations({"expression": "true", "messageExpression": "string(authorizer.path('/').check('get').allowed())"}), "spec.validations[0].messageExpression", "undeclared reference to 'authorizer'")
    refused(validations("variables.a.b", variables=[{"name": "a", "expression": "1"}]), "spec.validations[0].expression", "type 'int' does not support field selection")
    refused(validations("true", variables=[{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}]), "spec.variables[0].expression", "undefined field 'b'")
    refused({"auditAnnotations": [{"key": "k", "valueExpression": "1"}]}, "spec.auditAnnotations[0].valueExpression", "must evaluate to one of [string null_type] but got int")
    refused(validations("true", matchConditions=[{"name": "c", "expression": "("}]), "spec.matchConditions[0].expression", "Syntax error")
    refused({"reinvocationPolicy": "Never", "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "1"}}],
             "matchConstraints": {"resourceRules": [rules("configmaps", operations=["CREATE"])]}}, "spec.mutations[0].jsonPatch.expression",
            "must evaluate to list(JSONPatch) but got int", kind="mutating")

    # --- what the controller finds ---
    def status_of(name, generation):
        for _ in range(100):
            o = c.ask("GET", API + "validatingadmissionpolicies/" + name)[1]
            if o.get("status", {}).get("observedGeneration", 0) >= generation:
                return o["status"]
            time.sleep(0.05)
        return o.get("status")

    deployments = {"matchConstraints": {"resourceRules": [rules("deployments", groups=["apps"])]}}
    with validating(validations("object.spec.replicas > 1", **deployments)):
        check("expressions that fit", status_of("p", 1) == {"observedGeneration": 1, "typeChecking": {}}, status_of("p", 1))
        c.ask("PATCH", API + "validatingadmissionpolicies/p", json.dumps({"spec": {"validations": [{"expression": "object.spec.replica > 1"}]}}), headers=MERGE)
        want = "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replica'\n | object.spec.replica > 1\n | ...........^\n"
        got = status_of("p", 2)
        check("expressions that do not", got == {"observedGeneration": 2, "typeChecking": {"expressionWarnings": [
            {"fieldRef": "spec.validations[0].expression", "warning": want}]}}, got)
    check("the server lives", c.alive() and c.ask("GET", "/readyz")[1] == "ok")

sys.exit(f"{len(failures)} failed: {failures}" if failures else 0)
