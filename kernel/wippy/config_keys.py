"""Every section and key of `.wippy.yaml`: its type, its default, and whether it means anything here.

Source: manual page `guides/configuration` (all its editions: older keys are known too, so that old files give no
warnings), `guides/cli` for `override`, `guides/publishing` for `boot`, and the reference's decisions for `workflow`.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["FREE", "KEYS", "Key"]


class Key(msgspec.Struct, frozen=True):
    """One key. `type` is bool, int, float, string, strings, duration, map or any; `default` None means none.

    `used` tells whether the runtime does anything with it. `environment` names variables of the operating system that
    override it, the first that is set winning; one that begins with "!" is a switch that turns the key off.
    """

    path: str
    type: str
    default: Any = None
    used: bool = True
    environment: tuple[str, ...] = ()


#: Sections and subsections whose keys are the user's own.
FREE = ("vars", "override", "profiles", "boot", "workspace.replacements", "cluster.internode.trusted_peer_keys")

_USED: dict[str, dict[str, tuple[str, Any]]] = {
    "": {"version": ("string", None)},
    "disable": {"namespaces": ("strings", None), "entries": ("strings", None)},
    "workspace": {"replacements": ("map", None)},
    "logger": {"encoding": ("string", "console")},
    "logmanager": {
        "propagate_downstream": ("bool", True),
        "stream_to_events": ("bool", False),
        "min_level": ("int", 0),
    },
    "security": {"strict_mode": ("bool", False)},
    "registry": {
        "enable_history": ("bool", True),
        "history_type": ("string", "memory"),
        "history_path": ("string", ".wippy/registry.db"),
        "history_dsn": ("string", None),
        "history_schema": ("string", None),
    },
    "relay": {"node_name": ("string", None)},
    # Limits of this runtime; the manual has no such section.
    "process": {"mailbox_limit": ("int", 1_000_000), "memory_limit": ("int", 0)},
    "workflow": {"temporal": ("string", None)},
    "lua": {
        "type_system.enabled": ("bool", False),
        "type_system.strict": ("bool", False),
        "eval.max_steps": ("int", 10_000),
        "eval.cache_size": ("int", 256),
        "eval.cache_ttl": ("duration", "0"),
    },
    "otel": {
        "enabled": ("bool", False),
        "endpoint": ("string", "localhost:4318"),
        "protocol": ("string", "http/protobuf"),
        "service_name": ("string", "wippy-runtime"),
        "service_version": ("string", None),
        "insecure": ("bool", True),
        "sample_rate": ("float", 1.0),
        "propagators": ("strings", ("tracecontext", "baggage")),
        "traces_enabled": ("bool", True),
        "metrics_enabled": ("bool", False),
        "http.enabled": ("bool", True),
        "http.extract_headers": ("bool", True),
        "http.inject_headers": ("bool", True),
        "process.enabled": ("bool", True),
        "process.trace_lifecycle": ("bool", True),
        "interceptor.enabled": ("bool", True),
        "interceptor.order": ("int", 100),
        "queue.enabled": ("bool", True),
        "temporal.enabled": ("bool", False),
    },
    "shutdown": {"timeout": ("duration", "30s")},
    "metrics": {"buffer.size": ("int", 10_000), "interceptor.enabled": ("bool", False)},
    "prometheus": {"enabled": ("bool", False), "address": ("string", None), "max_cardinality": ("int", 1024)},
    "cluster": {
        "enabled": ("bool", False),
        "name": ("string", None),
        "failure_domain": ("string", None),
        "membership.join_addrs": ("string", None),
        "membership.secret_key": ("string", None),
        "membership.secret_file": ("string", None),
    },
    "network_service": {"state_dir": ("string", ".wippy/net"), "default_network": ("string", None)},
    "dispatcher": {
        "http.timeout": ("duration", "0"),
        "http.max_idle_conns": ("int", 0),
        "http.max_idle_per_host": ("int", 0),
        "http.idle_conn_timeout": ("duration", "0"),
        "http.max_clients": ("int", 0),
    },
}

#: Tuning of machinery that this runtime does not have: Go's profiler and caches, its plugins, the Raft core, the hub.
_IGNORED: dict[str, dict[str, tuple[str, Any]]] = {
    "profiler": {
        "enabled": ("bool", False),
        "address": ("string", "localhost:6060"),
        "read_timeout": ("duration", "15s"),
        "write_timeout": ("duration", "15s"),
        "idle_timeout": ("duration", "60s"),
    },
    "registry": {
        "event_wait_timeout": ("duration", "30s"),
        "dispatch_internal_kinds": ("strings", None),
        "dependency_resolve_timeout": ("duration", "0"),
        "dependency_download_timeout": ("duration", "0"),
        "dependency_lock_path": ("string", None),
        "dependency_vendor_dir": ("string", None),
    },
    "artifact": {"materialization_root": ("string", None)},
    "supervisor": {"host.buffer_size": ("int", 1024), "host.worker_count": ("int", 16)},
    "functions": {"host.buffer_size": ("int", 1024), "host.worker_count": ("int", None)},
    "lua": {
        "proto_cache_size": ("int", 60_000),
        "main_cache_size": ("int", 10_000),
        "expr.cache_enabled": ("bool", True),
        "expr.capacity": ("int", 5000),
        "json.cache_enabled": ("bool", True),
        "json.capacity": ("int", 1000),
        "cache.enabled": ("bool", None),
        "cache.dir": ("string", ".wippy/cache/lua"),
        "cache.mode": ("string", "readwrite"),
        "cache.compile.enabled": ("bool", True),
        "cache.typecheck.enabled": ("bool", True),
        "cache.max_bytes": ("int", 1_073_741_824),
        "cache.max_entries": ("int", 20_000),
        "cache.prune_interval": ("int", 256),
        "invalidation_wait_timeout": ("duration", "30s"),
    },
    "scheduler": {"wasm_isolation.enabled": ("bool", False), "wasm_isolation.reserved_cores": ("int", 1)},
    "finder": {"query_cache_size": ("int", 1000), "regex_cache_size": ("int", 100)},
    "cluster": {
        "kv_crdt_tombstone_retention": ("duration", "0"),
        "kv_crdt_tombstone_gc_alive_peers": ("bool", False),
        "membership.bind_addr": ("string", "0.0.0.0"),
        "membership.bind_port": ("int", 7946),
        "membership.advertise_addr": ("string", None),
        "membership.gossip_interval": ("duration", "500ms"),
        "membership.push_pull_interval": ("duration", "5s"),
        "membership.dead_node_reclaim_time": ("duration", "30s"),
        "membership.probe_interval": ("duration", "1s"),
        "membership.probe_timeout": ("duration", "200ms"),
        "membership.tcp_timeout": ("duration", "1s"),
        "membership.suspicion_mult": ("int", 3),
        "internode.bind_addr": ("string", "0.0.0.0"),
        "internode.bind_port": ("int", 0),
        "internode.auto_port": ("bool", True),
        "internode.advertise_addr": ("string", None),
        "internode.advertise_port": ("int", 0),
        "internode.identity_key": ("string", None),
        "internode.identity_key_file": ("string", None),
        "internode.trusted_peer_keys": ("map", None),
        "internode.tls.enabled": ("bool", False),
        "internode.tls.cert_file": ("string", None),
        "internode.tls.key_file": ("string", None),
        "internode.tls.ca_file": ("string", None),
        "raft.data_dir": ("string", None),
        "raft.enabled": ("bool", True),
        "raft.role": ("string", "server"),
        "raft.eligible": ("bool", True),
        "raft.priority": ("int", 100),
        "raft.bootstrap_expect": ("int", 1),
        "raft.max_voters": ("int", 5),
        "raft.max_standbys": ("int", 4),
        "raft.reconcile_debounce": ("duration", "2s"),
        "raft.reconcile_timeout": ("duration", "2s"),
        "raft.heartbeat_timeout": ("duration", "3s"),
        "raft.election_timeout": ("duration", "3s"),
        "raft.commit_timeout": ("duration", "500ms"),
        "raft.snapshot_threshold": ("int", 8192),
        "raft.snapshot_interval": ("duration", "2m"),
        "raft.snapshot_retain": ("int", 3),
        "raft.trailing_logs": ("int", 10_240),
        "raft.max_append_entries": ("int", 16),
        "raft.leader_probe_interval": ("duration", "3s"),
        "raft.leader_probe_grace": ("int", 3),
        "raft.registry_backend": ("string", "kv"),
        "raft.global_dissem_tombstone_retention": ("duration", "0"),
    },
    "lsp": {
        "enabled": ("bool", False),
        "address": ("string", ":7777"),
        "http_enabled": ("bool", False),
        "http_address": ("string", ":7778"),
        "http_path": ("string", "/lsp"),
        "http_allow_origin": ("string", "*"),
        "max_message_bytes": ("int", 8_388_608),
    },
    "modules": {"registry_url": ("string", None)},
    "extensions": {"enabled": ("bool", True), "paths": ("strings", None)},
}

_ENVIRONMENT = {
    "relay.node_name": ("WIPPY_NODE_ID", "WIPPY_RELAY_NODE_NAME"),
    "otel.enabled": ("!OTEL_SDK_DISABLED",),
    "otel.endpoint": ("OTEL_EXPORTER_OTLP_ENDPOINT",),
    "otel.protocol": ("OTEL_EXPORTER_OTLP_PROTOCOL",),
    "otel.insecure": ("OTEL_EXPORTER_OTLP_INSECURE",),
    "otel.service_name": ("OTEL_SERVICE_NAME",),
    "otel.service_version": ("OTEL_SERVICE_VERSION",),
    "otel.sample_rate": ("OTEL_TRACES_SAMPLER_ARG",),
    "otel.propagators": ("OTEL_PROPAGATORS",),
}


def _keys() -> dict[str, Key]:
    keys = {}
    for table, used in ((_USED, True), (_IGNORED, False)):
        for section, fields in table.items():
            for name, (kind, default) in fields.items():
                path = f"{section}.{name}" if section else name
                keys[path] = Key(path, kind, default, used, _ENVIRONMENT.get(path, ()))
    return keys


#: Every key by its dotted path.
KEYS: dict[str, Key] = _keys()
