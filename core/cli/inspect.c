/*
 * What is not as it should be in a source: its manifest, the files of its runs, directories that are no runs.
 */
#include "core/cli/inspect.h"
#include "core/base/memory.h"
#include "core/cli/compare.h"
#include "core/cli/display.h"
#include "core/cli/entry.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct inspection {
    struct keeper *keeper;
    int source_fd;
    const struct run_plan *plan;
    struct finding_list *findings;
};

/* ---- the manifest ---- */

static void tell_of_manifest(struct inspection *inspection, const char *detail)
{
    finding_add(inspection->findings, FINDING_MANIFEST, slice_of(keeper_manifest_name(inspection->keeper)),
                "%s", detail);
}

/* Value by value; where none differs, says what is wrong with the whole. */
static void inspect_content(struct inspection *inspection, struct index *index, const char *otherwise)
{
    const char *name = keeper_manifest_name(inspection->keeper);
    size_t before = inspection->findings->count;
    struct buffer content = {0};
    int error = file_read_bounded(inspection->source_fd, name, LIMIT_MANIFEST_BYTES, &content, NULL);
    bool all_seen = error != 0 || compare_manifest(index, inspection->source_fd, name, buffer_slice(&content),
                                                   inspection->findings);
    buffer_free(&content);
    if (inspection->findings->count == before && all_seen)
        tell_of_manifest(inspection, otherwise);
}

static void tell_of_fault(struct inspection *inspection, const char *what, const struct run_fault *fault)
{
    char reason[200];
    run_fault_describe(fault, reason, sizeof(reason));
    finding_add(inspection->findings, FINDING_MANIFEST, slice_of(keeper_manifest_name(inspection->keeper)),
                "%s: %s", what, reason);
}

static void inspect_manifest(struct inspection *inspection, struct index *index,
                             enum manifest_finding finding, const struct run_fault *fault)
{
    switch (finding) {
    case MANIFEST_TRUE:
        break;
    case MANIFEST_MISSING:
        if (index_count(index) > 0)
            tell_of_manifest(inspection, "is missing");
        break;
    case MANIFEST_EMPTY:
        tell_of_manifest(inspection, "is empty");
        break;
    case MANIFEST_BROKEN:
        tell_of_fault(inspection, "is not JSON", fault);
        break;
    case MANIFEST_FOREIGN:
        inspect_content(inspection, index, "is no manifest of version 1.0");
        break;
    case MANIFEST_DIFFERS:
        inspect_content(inspection, index,
                        "its values are right, but not its bytes (order of members, white space, escapes, "
                        "members that occur twice)");
        break;
    case MANIFEST_NOT_A_FILE:
        tell_of_manifest(inspection, "is no regular file; move it away to have the manifest written");
        break;
    case MANIFEST_UNREADABLE:
        tell_of_manifest(inspection, "can't be read");
        break;
    }
}

/* ---- the runs ---- */

static void inspect_run(struct inspection *inspection, const struct run *run)
{
    for (size_t file = 0; run->faults && file < inspection->plan->file_count; file++) {
        if (!run->faults[file].reason)
            continue;
        char reason[200];
        struct buffer path = {0};
        run_fault_describe(&run->faults[file], reason, sizeof(reason));
        entry_append_path(&path, run);
        buffer_append_format(&path, "/%s", inspection->plan->files[file].name);
        finding_add(inspection->findings, FINDING_UNREADABLE, buffer_slice(&path), "%s", reason);
        buffer_free(&path);
    }
}

/* The error that keeps anybody from seeing whether the run's files stand in a directory; 0 for none. */
static int search_error(const struct inspection *inspection, const char *path)
{
    struct stat info;
    CLEANUP_FD int fd = openat(inspection->source_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    for (size_t file = 0; file < inspection->plan->file_count; file++)
        if (fstatat(fd, inspection->plan->files[file].name, &info, AT_SYMLINK_NOFOLLOW) != 0 &&
            errno != ENOENT && errno != ENOTDIR)
            return errno;
    return 0;
}

/* "it has neither metrics.json nor metadata.json" */
static void append_missing(const struct run_plan *plan, struct buffer *text)
{
    for (size_t file = 0; file < plan->file_count; file++)
        buffer_append_format(text, "%s%s",
                             file == 0 ? plan->file_count == 1 ? "it has no " : "it has neither " : " nor ",
                             plan->files[file].name);
}

static int inspect_candidate(const char *path, void *context)
{
    struct inspection *inspection = context;
    int error = search_error(inspection, path);
    struct buffer missing = {0};
    append_missing(inspection->plan, &missing);
    if (error)
        finding_add(inspection->findings, FINDING_UNREADABLE, slice_of(path),
                    "can't be searched (%s); it is not known whether it is a run", strerrordesc_np(error));
    else
        finding_add(inspection->findings, FINDING_ABORTED, slice_of(path), "no run: %s", missing.bytes);
    buffer_free(&missing);
    return 0;
}

/* A framework's directory that can't be listed has runs that nobody sees. */
static void inspect_framework(struct inspection *inspection, const char *name)
{
    CLEANUP_FD int fd =
        openat(inspection->source_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
        finding_add(inspection->findings, FINDING_UNREADABLE, slice_of(name),
                    "can't be listed (%s); its runs are not seen", strerrordesc_np(errno));
}

static void inspect_config(struct inspection *inspection)
{
    struct config *config;
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    size_t count;
    if (config_load(inspection->source_fd, &config, faults, &count) == 0) {
        config_unref(config);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct buffer reason = {0};
        display_append(&reason, slice_of(faults[i].reason));
        if (faults[i].line)
            finding_add(inspection->findings, FINDING_CONFIGURATION, SLICE_LITERAL(CONFIG_FILE_NAME),
                        "line %u, column %u: %s", faults[i].line, faults[i].column, reason.bytes);
        else
            finding_add(inspection->findings, FINDING_CONFIGURATION, SLICE_LITERAL(CONFIG_FILE_NAME), "%s",
                        reason.bytes);
        buffer_free(&reason);
    }
}

static void inspect_frameworks(struct inspection *inspection)
{
    int fd = openat(inspection->source_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list && fd >= 0)
        close(fd);
    for (struct dirent *entry; list && (entry = readdir(list));)
        if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0 && strcmp(entry->d_name, ".git") != 0)
            inspect_framework(inspection, entry->d_name);
    if (list)
        closedir(list);
}

void inspect_source(struct keeper *keeper, struct finding_list *findings)
{
    struct inspection inspection = {keeper, source_root_fd(keeper_source(keeper)), NULL, findings};
    struct run_fault fault;
    enum manifest_finding finding = keeper_manifest_finding(keeper, &fault);
    struct index *index = keeper_lock(keeper);
    inspection.plan = keeper_plan(keeper);
    inspect_config(&inspection);
    inspect_manifest(&inspection, index, finding, &fault);
    size_t first = findings->count;
    inspect_frameworks(&inspection);
    for (struct run *run = index_first(index); run; run = index_next(index, run))
        inspect_run(&inspection, run);
    keeper_each_candidate(keeper, inspect_candidate, &inspection);
    finding_sort(findings, first);
    keeper_unlock(keeper);
}
