"""What every alert must be: its severity, and how long a fault lasts until it fires. Written out, not taken from the rules.

The key is the alert's name, where there are several with the window or severity that tells them apart.
"""

from __future__ import annotations

POLICY = {
    # The pipeline itself.
    "Watchdog": ("none", ""),
    "HotkeyExporterDown": ("critical", "1m"),
    "HotkeyExporterAbsent": ("critical", "5m"),
    "HotkeyExporterScrapeSlow": ("warning", "10m"),
    "HotkeyExporterJobFailing": ("warning", "5m"),
    "HotkeyExporterConfigRejected": ("warning", "5m"),
    "HotkeyExporterRestarting": ("warning", "1m"),
    "HotkeyExporterLogErrors": ("warning", "15m"),
    # State of a server.
    "RedisDown": ("critical", "1m"),
    "RedisAccessDenied": ("warning", "5m"),
    "RedisRestarted": ("info", ""),
    "RedisRestartLoop": ("critical", "1m"),
    "RedisLoadingLong": ("warning", "15m"),
    "RedisRoleChanged": ("info", ""),
    "RedisVersionMixed": ("info", "1d"),
    # Service level objectives.
    "RedisAvailabilityBurn 1h": ("critical", "2m"),
    "RedisAvailabilityBurn 6h": ("critical", "15m"),
    "RedisAvailabilityBurn 1d": ("warning", "1h"),
    "RedisAvailabilityBurn 3d": ("warning", "3h"),
    "RedisErrorsBurn 1h": ("critical", "2m"),
    "RedisErrorsBurn 6h": ("critical", "15m"),
    "RedisErrorsBurn 1d": ("warning", "1h"),
    "RedisErrorsBurn 3d": ("warning", "3h"),
    # Replication.
    "RedisMasterMissing": ("critical", "1m"),
    "RedisMastersTooMany": ("critical", "1m"),
    "RedisReplicaLinkDown": ("warning", "2m"),
    "RedisReplicationLagSeconds": ("warning", "5m"),
    "RedisReplicationLagBytes": ("warning", "5m"),
    "RedisReplicaLost": ("warning", "10m"),
    "RedisFullResyncs": ("warning", "1m"),
    "RedisReplicaWritable": ("warning", "5m"),
    "RedisBacklogSmall": ("warning", "15m"),
    # Cluster and Sentinel.
    "RedisClusterStateNotOk": ("critical", "1m"),
    "RedisClusterSlotsFail": ("critical", "1m"),
    "RedisClusterSlotsPfail": ("warning", "5m"),
    "RedisClusterSlotsUncovered": ("critical", "5m"),
    "RedisClusterShardHot": ("warning", "30m"),
    "RedisSentinelMasterDown": ("critical", "1m"),
    "RedisSentinelQuorumLost": ("critical", "2m"),
    "RedisSentinelTilt": ("warning", "5m"),
    # Memory.
    "RedisMemoryHigh": ("warning", "5m"),
    "RedisMemoryFull": ("critical", "2m"),
    "RedisOutOfMemoryErrors": ("critical", "1m"),
    "RedisMemoryUnlimited": ("warning", "30m"),
    "RedisMemoryFillsSoon": ("warning", "30m"),
    "RedisEvictionStorm": ("warning", "10m"),
    "RedisFragmentation": ("warning", "30m"),
    "RedisSwapping": ("warning", "15m"),
    "RedisClientBuffersLarge": ("warning", "10m"),
    # Clients.
    "RedisConnectionsHigh": ("warning", "5m"),
    "RedisConnectionsFull": ("critical", "2m"),
    "RedisConnectionsRejected": ("critical", "1m"),
    "RedisClientsGone": ("warning", "5m"),
    "RedisOutputBufferDisconnections": ("warning", "1m"),
    "RedisConnectionChurn": ("warning", "15m"),
    # Performance.
    "RedisMainThreadBusy": ("warning", "10m"),
    "RedisMainThreadSaturated": ("critical", "5m"),
    "RedisSlow": ("warning", "1m"),
    "RedisLatencyHigh": ("warning", "10m"),
    "RedisSlowlogGrowing": ("warning", "10m"),
    "RedisCommandsRejected": ("warning", "10m"),
    "RedisHitRatioDropped": ("warning", "30m"),
    "RedisForkSlow": ("warning", "1m"),
    # Persistence.
    "RedisRdbSaveFailed": ("critical", "1m"),
    "RedisRdbStale": ("warning", "1h"),
    "RedisRdbSaveLong": ("warning", "1m"),
    "RedisAofWriteFailed": ("critical", "1m"),
    "RedisAofRewriteFailed": ("warning", "5m"),
    "RedisAofDelayedFsync": ("warning", "10m"),
    # Hot keys and their sampling.
    "RedisHotKey info": ("info", "1m"),
    "RedisHotKey warning": ("warning", "1m"),
    "RedisHotKeySaturates": ("critical", "2m"),
    "RedisHotKeyLarge": ("warning", "5m"),
    "HotKeySamplingStopped": ("warning", "2m"),
    "RedisSamplingLossy": ("warning", "15m"),
    "RedisSamplingCostly": ("warning", "15m"),
    "RedisSamplingUnlimited": ("info", "1h"),
    "RedisHotKeyLabelsSuppressed": ("info", "5m"),
    # Cache warming.
    "CacheWarmingFailed": ("warning", "1m"),
    "CacheWarmingOverdue": ("warning", "5m"),
    "CacheWarmingCoverageLow": ("warning", "10m"),
    "CacheWarmingKeysFailing": ("warning", "10m"),
    "CacheWarmingWasted": ("info", "1h"),
    "CacheWarmingNoLeader": ("warning", "5m"),
    "CacheWarmingStuck": ("warning", "2h"),
    # Certificates.
    "RedisCertificateExpires": ("warning", "1h"),
    "RedisCertificateExpiresNow": ("critical", "10m"),
}
