"""One request is one trace: from the front door over the leader to the log and the store of all three replicas."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from calls import make_table
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from own_region import OwnRegion, wait_for

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
REPLICAS = {"dynamo-node-a1", "dynamo-node-b1", "dynamo-node-c1"}


class Collector(grpc.GenericRpcHandler):
    """What an OpenTelemetry collector takes by OTLP over gRPC; keeps (node, span)."""

    def __init__(self):
        self.lock, self.spans = threading.Lock(), []
        self.server = grpc.server(ThreadPoolExecutor(8), handlers=[self])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def service(self, details):
        if details.method != EXPORT:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self.export,
            request_deserializer=service.ExportTraceServiceRequest.FromString,
            response_serializer=service.ExportTraceServiceResponse.SerializeToString)

    def export(self, request, _context):
        with self.lock:
            for resource in request.resource_spans:
                node = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.instance.id")
                self.spans += [(node, span) for scope in resource.scope_spans for span in scope.spans]
        return service.ExportTraceServiceResponse()

    def traces(self):
        found = {}
        with self.lock:
            for node, span in self.spans:
                found.setdefault(span.trace_id, []).append((node, span))
        return found


@pytest.fixture(scope="module")
def traced():
    collector, region = Collector(), OwnRegion()
    region.environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"}
    region.up()
    yield collector, region
    region.run("down", "--wipe")
    collector.server.stop(None)


def attribute(span, key):
    return next((a.value.string_value for a in span.attributes if a.key == key), None)


def trace_of(collector, operation, complete):
    """The spans of the one request of that operation, once they are all there."""

    def look():
        for spans in collector.traces().values():
            roots = [span for _, span in spans if not span.parent_span_id and attribute(span, "operation") == operation]
            if roots and complete(spans):
                return roots[0], spans

    return wait_for(f"a whole trace of {operation}", look)


def nodes(spans, name):
    return {node for node, span in spans if span.name == name}


def test_a_write_is_one_trace_over_all_its_nodes(traced):
    collector, region = traced
    dynamodb = region.dynamodb()
    table = make_table(dynamodb)
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "k"}})

    root, spans = trace_of(collector, "PutItem", lambda spans: nodes(spans, "raft.apply") >= REPLICAS)
    [front] = nodes(spans, "request")
    assert front.startswith("control-node"), "port 4566 is the control nodes'"
    assert nodes(spans, "raft.append") >= REPLICAS
    calls = [(node, span) for node, span in spans if span.name == "peer_call" and span.parent_span_id == root.span_id]
    assert len({node for node, _ in calls}) >= 1 and {node for node, _ in calls} <= REPLICAS
    # Everything hangs together, and lies within the request but for the followers' applying.
    known = {span.span_id for _, span in spans}
    assert all(span.parent_span_id in known for _, span in spans if span.span_id != root.span_id)
    assert all(span.start_time_unix_nano >= root.start_time_unix_nano for _, span in spans)


def test_a_read_costs_no_log_entry(traced):
    collector, region = traced
    dynamodb = region.dynamodb()
    table = make_table(dynamodb)
    dynamodb.get_item(TableName=table, Key={"pk": {"S": "k"}}, ConsistentRead=True)
    _, spans = trace_of(collector, "GetItem", lambda spans: nodes(spans, "peer_call"))
    assert not nodes(spans, "raft.append") and not nodes(spans, "raft.apply")


def test_writes_that_share_an_entry_are_linked(traced):
    collector, region = traced
    dynamodb = region.dynamodb()
    table = make_table(dynamodb)

    def update(n):
        dynamodb.update_item(
            TableName=table, Key={"pk": {"S": f"k{n}"}}, UpdateExpression="ADD n :n",
            ExpressionAttributeValues={":n": {"N": "1"}})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(update, range(400)))

    def linked():
        traces = collector.traces()
        mine = [span for spans in traces.values() for _, span in spans if span.links]
        return any(link.trace_id in traces for span in mine for link in span.links)

    wait_for("a link from a write to the trace of its entry", linked)
