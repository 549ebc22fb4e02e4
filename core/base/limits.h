/*
 * Every limit of the project in one place, so that none is hidden in a function.
 * Each says what it bounds and why it has this value.
 */
#ifndef RUNSFS_BASE_LIMITS_H
#define RUNSFS_BASE_LIMITS_H

/* A metrics.json or metadata.json larger than this is reported, not read. */
#define LIMIT_RUN_FILE_BYTES (64ull << 20)
/* A manifest larger than this is not read back: a million runs are about 370 MB. */
#define LIMIT_MANIFEST_BYTES (1ull << 30)
/* Nesting at which JSON is refused: what Python's reader manages under its default recursion limit. */
#define LIMIT_JSON_DEPTH 991
/* Digits of an integer at which Python's reader refuses the whole text. */
#define LIMIT_JSON_INTEGER_DIGITS 4300
/* The largest token count that a manifest holds: 2^53. */
#define LIMIT_COUNT (1ull << 53)
/* Bytes of a name in a directory, as the kernel has it. */
#define LIMIT_NAME_BYTES 255
/* Descriptors that the daemon holds at most, unless told otherwise, and what is set aside of them: for itself
 * (the watch, the log, files of unlinked names, the manifest's) and for each worker thread (its connection,
 * one request's own). */
#define LIMIT_DESCRIPTORS 256
#define LIMIT_DESCRIPTORS_MAX (1u << 20)
#define LIMIT_DESCRIPTORS_SET_ASIDE 40
#define LIMIT_DESCRIPTORS_PER_THREAD 3
/* The most that one read or write moves; the kernel's own limit is the same. */
#define LIMIT_REQUEST_BYTES (1u << 20)
/* Threads that serve, at most. */
#define LIMIT_WORKERS 64
/* The manifest on disk: quiet time that ends a burst, the longest wait after its first change, and the share
 * of a core that writing may take (a write that took T is followed by no other for T times this). */
#define LIMIT_MANIFEST_QUIET_MS 100
#define LIMIT_MANIFEST_DELAY_MS 700
#define LIMIT_MANIFEST_WRITE_SHARE 10
/* How often that is looked at which no watch can tell of. */
#define LIMIT_POLL_INTERVAL_MS 1000
/* And the least often that one may ask for: once a day. */
#define LIMIT_POLL_INTERVAL_MAX_MS 86400000
/* Of runs whose files have other names, which may change unseen, so many are looked at in one poll. */
#define LIMIT_POLLED_AT_ONCE 1000
/* An index cache larger than this is not read back: a million runs are about 220 MB. */
#define LIMIT_CACHE_BYTES (1ull << 30)
/* Threads at once (a team) for a piece of work that takes all cores; each holds some descriptors of its own.
 */
#define LIMIT_TEAM_THREADS 16
/* What is kept of the past in memory, all together: objects, lists, indexes, what was derived, and what
 * libgit2 has. It grows by some bytes for each node below at/ that the kernel knows, of the 200 that there are
 * for each (the node itself takes up to 150): who looks into a hundred revisions needs the lists of them all.
 */
#define LIMIT_PAST_BYTES (8u << 20)
#define LIMIT_PAST_BYTES_PER_NODE 24
/* A file of the past that is larger than the first is not kept in memory but in a file without a name, and of
 * those there are as many as the second says. */
#define LIMIT_PAST_BLOB_BYTES (1u << 20)
#define LIMIT_PAST_SPOOLS 2
/* Git's packs give an object in one piece: a larger one is refused. */
#define LIMIT_PACKED_BLOB_BYTES (512ull << 20)
/* The configuration: bytes of its file (10,000 excluded paths are about 1 MB), and how many there may be
 * of each thing that every directory or run is compared with. */
#define LIMIT_CONFIG_BYTES (4u << 20)
#define LIMIT_CONFIG_LAYOUTS 16
#define LIMIT_CONFIG_DEPTH 4
#define LIMIT_CONFIG_TRACKED 64
#define LIMIT_CONFIG_EXCLUDE 10000
/* Excluded paths with wildcards: every one is tried on every run. */
#define LIMIT_CONFIG_EXCLUDE_GLOBS 1000
#define LIMIT_CONFIG_FILES 16
#define LIMIT_CONFIG_FIELDS 64
#define LIMIT_CONFIG_FIELD_SOURCES 16
#define LIMIT_CONFIG_FIELD_NAME_BYTES 64
#define LIMIT_CONFIG_POINTER_STEPS 32
#define LIMIT_CONFIG_VIEWS 16
/* The manifest's own name: what is made of it for temporary files must still be a name. */
#define LIMIT_CONFIG_MANIFEST_NAME_BYTES 200

#endif
