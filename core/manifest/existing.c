/*
 * Adopting a manifest that somebody wrote. In two steps: the whole text is read once before anything is taken
 * over, so that a file that is half written changes nothing; then the entries are walked. What the files of
 * the runs say is not asked of it.
 */
#include "core/manifest/existing.h"
#include "core/manifest/existing_internal.h"
#include "core/base/memory.h"
#include "core/json/reader.h"
#include "core/manifest/render.h"
#include <stdlib.h>
#include <string.h>

enum entry_member {
    ENTRY_RUN_ID,
    ENTRY_FRAMEWORK,
    ENTRY_PATH,
    ENTRY_START_TIME,
    ENTRY_END_TIME,
    ENTRY_STATUS,
    ENTRY_TOKENS_IN,
    ENTRY_TOKENS_OUT,
    ENTRY_COUNT
};
static const struct slice entry_names[ENTRY_COUNT] = {
    [ENTRY_RUN_ID] = {"run_id", 6},
    [ENTRY_FRAMEWORK] = {"framework", 9},
    [ENTRY_PATH] = {"path", 4},
    [ENTRY_START_TIME] = {"start_time", 10},
    [ENTRY_END_TIME] = {"end_time", 8},
    [ENTRY_STATUS] = {"verification_status", 19},
    [ENTRY_TOKENS_IN] = {"total_tokens_in", 15},
    [ENTRY_TOKENS_OUT] = {"total_tokens_out", 16},
};
_Static_assert((int)ENTRY_COUNT <= MEMBERS_KNOWN && (int)TOP_COUNT <= MEMBERS_KNOWN,
               "a table of known members is too small");

/* One adoption. */
struct adoption {
    struct index *index;
    bool drop_missing;
    const struct existing_unseen *unseen;
    bool is_manifest; /* of version 1.0 */
    bool changed;     /* something that the manifest shows */
};

/* The text of a JSON string given raw: in the raw text itself, or unfolded into buffer. Absent for another
 * token. */
static struct slice text_of(const struct known_member *member, struct buffer *buffer)
{
    if (member->token != JSON_STRING)
        return SLICE_ABSENT;
    struct slice inner = {member->raw.bytes + 1, member->raw.length - 2};
    if (!memchr(inner.bytes, '\\', inner.length))
        return inner;
    struct json_reader reader;
    json_reader_init(&reader, member->raw);
    json_next(&reader);
    buffer_clear(buffer);
    buffer_append_slice(buffer, reader.text);
    json_reader_finish(&reader);
    return buffer_slice(buffer);
}

static struct run *find_by_path(struct index *index, struct slice path)
{
    const char *slash = path.length ? memrchr(path.bytes, '/', path.length) : NULL;
    size_t place_length = slash ? (size_t)(slash - path.bytes) : 0;
    const char *name = slash ? slash + 1 : path.bytes;
    return index_find(index, (struct slice){path.bytes, place_length},
                      (struct slice){name, path.length - (size_t)(name - path.bytes)});
}

/* The path that an entry gives, or one of its two names, as the disk has it. False where it gives none. */
static bool path_of_entry(const struct members *entry, bool by_names, struct buffer *path)
{
    struct buffer text = {0}, name = {0};
    bool is_named = false;
    buffer_clear(path);
    if (!by_names) {
        struct slice own = text_of(&entry->known[ENTRY_PATH], &text);
        is_named = own.bytes && utf8_take_file_name(own, path);
    } else {
        struct slice own = text_of(&entry->known[ENTRY_FRAMEWORK], &text);
        is_named = own.bytes && utf8_take_file_name(own, path);
        own = is_named ? text_of(&entry->known[ENTRY_RUN_ID], &text) : SLICE_ABSENT;
        is_named = own.bytes && utf8_take_file_name(own, &name);
        buffer_append_byte(path, '/');
        buffer_append_slice(path, buffer_slice(&name));
    }
    buffer_free(&text);
    buffer_free(&name);
    return is_named;
}

/* The run of which an entry speaks: by its path, else by its two names; *is_unseen where it was put in for
 * the entry's sake. */
static struct run *find_run(const struct adoption *adoption, const struct members *entry, bool *is_unseen)
{
    struct buffer path = {0};
    struct run *run = NULL;
    *is_unseen = false;
    for (int by_names = 0; by_names <= 1 && !run; by_names++)
        if (path_of_entry(entry, by_names, &path))
            run = find_by_path(adoption->index, buffer_slice(&path));
    for (int by_names = 0; by_names <= 1 && !run && adoption->unseen; by_names++)
        if (path_of_entry(entry, by_names, &path)) {
            run = adoption->unseen->run_of(adoption->unseen->context, buffer_slice(&path));
            *is_unseen = run != NULL;
        }
    buffer_free(&path);
    return run;
}

/* Last good values for a run whose files can't be read and never could. A value of another type is not one.
 */
static void adopt_fields(struct adoption *adoption, struct run *run, const struct members *entry)
{
    struct buffer start_text = {0}, end_text = {0}, status_text = {0};
    const struct known_member *known = entry->known;
    struct run_fields fields = run->fields;
    struct slice status = text_of(&known[ENTRY_STATUS], &status_text);

    if (known[ENTRY_START_TIME].token == JSON_STRING || known[ENTRY_START_TIME].token == JSON_NULL)
        fields.start_time = text_of(&known[ENTRY_START_TIME], &start_text);
    if (known[ENTRY_END_TIME].token == JSON_STRING || known[ENTRY_END_TIME].token == JSON_NULL)
        fields.end_time = text_of(&known[ENTRY_END_TIME], &end_text);
    if (status.bytes)
        fields.status = status;
    if (known[ENTRY_TOKENS_IN].token == JSON_INTEGER)
        json_count(known[ENTRY_TOKENS_IN].raw, &fields.tokens_in);
    if (known[ENTRY_TOKENS_OUT].token == JSON_INTEGER)
        json_count(known[ENTRY_TOKENS_OUT].raw, &fields.tokens_out);
    /* Where it says just what the defaults are, nothing good was ever known. */
    bool differs = index_set_fields(adoption->index, run, &fields);
    adoption->changed |= differs;
    run->has_good = differs;
    buffer_free(&start_text);
    buffer_free(&end_text);
    buffer_free(&status_text);
}

/* Puts added members in the place of those that were there, or (where none are to be forgotten) joins them.
 */
static bool adopt_added(const struct adoption *adoption, struct members *members, unsigned depth,
                        struct slice *extras)
{
    members_settle(members);
    struct slice laid_out = members_lay_out(members, depth);
    if (extras->bytes && !(adoption->drop_missing && adoption->is_manifest)) {
        struct members joined = {0};
        struct buffer old_text = {0}, new_text = {0};
        members_read_bare(&joined, *extras, &old_text);
        members_read_bare(&joined, laid_out, &new_text);
        members_settle(&joined);
        slice_free(&laid_out);
        laid_out = members_lay_out(&joined, depth);
        members_free(&joined);
        buffer_free(&old_text);
        buffer_free(&new_text);
    }
    bool changed = !slice_equal(laid_out, *extras);
    slice_free(extras);
    *extras = laid_out;
    return changed;
}

static void adopt_entry(struct adoption *adoption, struct members *entry)
{
    bool is_unseen;
    struct run *run = find_run(adoption, entry, &is_unseen);
    if (!run)
        return;
    adoption->changed |= is_unseen;
    if (adoption->is_manifest && (is_unseen || !adoption->drop_missing) && !run->has_good)
        adopt_fields(adoption, run, entry);
    if ((entry->added_count > 0 || run_extras(run).bytes) &&
        adopt_added(adoption, entry, RENDER_DEPTH_ENTRY, run_extras_place(adoption->index, run))) {
        order_touch(&adoption->index->order, run);
        adoption->changed = true;
    }
}

/* The text was read as a whole before: it has no errors. */
static void adopt_entries(struct adoption *adoption, struct slice runs)
{
    struct json_reader reader;
    struct members entry = {0};
    enum json_token token;
    json_reader_init(&reader, runs);
    json_next(&reader);
    while ((token = json_next(&reader)) != JSON_ARRAY_END && token != JSON_ERROR) {
        if (token != JSON_OBJECT_BEGIN) {
            json_skip_value(&reader, token, NULL);
            continue;
        }
        members_clear(&entry);
        if (members_read(&entry, &reader, entry_names, ENTRY_COUNT) == 0)
            adopt_entry(adoption, &entry);
    }
    members_free(&entry);
    json_reader_finish(&reader);
}

/* The names in `frameworks`; raw is an object, or absent for none. */
static void adopt_frameworks(struct adoption *adoption, struct slice raw)
{
    struct json_reader reader;
    struct members names = {0};
    if (raw.bytes) {
        json_reader_init(&reader, raw);
        json_next(&reader);
        members_read(&names, &reader, NULL, 0);
        json_reader_finish(&reader);
    }
    members_settle(&names);
    struct slice *texts = memory_alloc(names.added_count * sizeof(*texts));
    for (size_t i = 0; i < names.added_count; i++)
        texts[i] = names.added[i].name;
    adoption->changed |= framework_adopt(&adoption->index->frameworks, texts, names.added_count);
    free(texts);
    members_free(&names);
}

/* Gives last_updated that text, which counts as a change where it is another. */
static void set_last_updated(struct index *index, struct slice text)
{
    struct buffer now = {0};
    if (!index->last_updated.bytes)
        render_time(&now, index->changed_at);
    if (!slice_equal(text, index->last_updated.bytes ? index->last_updated : buffer_slice(&now))) {
        struct slice copy = slice_copy(text);
        index_touch(index);
        index->last_updated = copy;
    }
    buffer_free(&now);
}

static bool is_version_1_0(const struct known_member *version)
{
    struct buffer buffer = {0};
    bool is_it = slice_equal(text_of(version, &buffer), SLICE_LITERAL("1.0"));
    buffer_free(&buffer);
    return is_it;
}

/* Is the file what the index renders, but that last_updated is the file's? */
static bool is_same(struct index *index, const struct known_member *last_updated, struct slice bytes)
{
    struct buffer buffer = {0};
    struct slice text = text_of(last_updated, &buffer);
    bool same = false;
    if (text.bytes) {
        set_last_updated(index, text);
        struct snapshot *snapshot = snapshot_take(index);
        same = snapshot_equals_bytes(snapshot, bytes);
        snapshot_unref(snapshot);
    }
    buffer_free(&buffer);
    return same;
}

static enum existing_verdict adopt_object(struct adoption *adoption, struct members *top, struct slice bytes)
{
    const struct known_member *known = top->known;
    adoption->is_manifest = is_version_1_0(&known[TOP_VERSION]) && known[TOP_RUNS].token == JSON_ARRAY_BEGIN;
    adoption->changed |= adopt_added(adoption, top, RENDER_DEPTH_TOP, &adoption->index->extras);
    if (known[TOP_FRAMEWORKS].token == JSON_OBJECT_BEGIN)
        adopt_frameworks(adoption, known[TOP_FRAMEWORKS].raw);
    else if (adoption->is_manifest)
        adopt_frameworks(adoption, SLICE_ABSENT);
    if (known[TOP_RUNS].token == JSON_ARRAY_BEGIN)
        adopt_entries(adoption, known[TOP_RUNS].raw);
    if (adoption->changed)
        index_touch(adoption->index);
    if (adoption->is_manifest && is_same(adoption->index, &known[TOP_LAST_UPDATED], bytes))
        return EXISTING_SAME;
    index_touch(adoption->index);
    return adoption->is_manifest ? EXISTING_DIFFERS : EXISTING_FOREIGN;
}

/* The usual case, for which no entry need be parsed: what follows the head is, byte for byte, what the index
 * has to say, so nothing is to be learnt from it. What is adopted of the head would be in any case. */
static bool adopt_same(struct index *index, struct slice bytes)
{
    struct known_member known[TOP_COUNT] = {0};
    struct adoption adoption = {.index = index};
    size_t position = existing_read_head(bytes, known);
    if (position == 0 || !is_version_1_0(&known[TOP_VERSION]) ||
        known[TOP_FRAMEWORKS].token != JSON_OBJECT_BEGIN ||
        !existing_is_same_from_runs(index, (struct slice){bytes.bytes + position, bytes.length - position}))
        return false;
    adopt_frameworks(&adoption, known[TOP_FRAMEWORKS].raw);
    if (adoption.changed)
        index_touch(index);
    return is_same(index, &known[TOP_LAST_UPDATED], bytes);
}

static bool is_blank(struct slice bytes)
{
    size_t i = 0;
    while (i < bytes.length && memchr(" \t\r\n", bytes.bytes[i], 4))
        i++;
    return i == bytes.length;
}

static void report(struct run_fault *fault, const struct json_reader *reader)
{
    if (!fault)
        return;
    fault->reason = reader->error;
    json_position(reader->input, reader->position, &fault->line, &fault->column);
}

enum existing_verdict existing_adopt(struct index *index, struct slice bytes, bool drop_missing,
                                     const struct existing_unseen *unseen, struct run_fault *fault)
{
    struct adoption adoption = {.index = index, .drop_missing = drop_missing, .unseen = unseen};
    struct json_reader reader;
    struct members top = {0};
    enum existing_verdict verdict = EXISTING_FOREIGN;

    if (fault)
        *fault = (struct run_fault){0};
    if (is_blank(bytes))
        return EXISTING_EMPTY;
    if (adopt_same(index, bytes))
        return EXISTING_SAME;
    members_clear(&top);
    json_reader_init(&reader, bytes);
    enum json_token token = json_next(&reader);
    if (token == JSON_OBJECT_BEGIN)
        members_read(&top, &reader, existing_top_names, TOP_COUNT);
    else
        json_skip_value(&reader, token, NULL);
    if (json_next(&reader) != JSON_END) {
        report(fault, &reader);
        verdict = EXISTING_BROKEN;
    } else if (token == JSON_OBJECT_BEGIN) {
        verdict = adopt_object(&adoption, &top, bytes);
    }
    members_free(&top);
    json_reader_finish(&reader);
    return verdict;
}

void existing_written(struct index *index)
{
    framework_written(&index->frameworks);
}

void existing_restore_last_updated(struct index *index, const struct snapshot *on_disk)
{
    struct buffer buffer = {0};
    struct known_member last_updated = {JSON_STRING, snapshot_last_updated(on_disk)};
    set_last_updated(index, text_of(&last_updated, &buffer));
    buffer_free(&buffer);
}

/* The value of last_updated, wherever in the text it stands. */
static void find_last_updated(struct slice bytes, struct known_member *last_updated, struct members *top)
{
    struct known_member known[TOP_COUNT] = {0};
    struct json_reader reader;
    if (existing_read_head(bytes, known)) {
        *last_updated = known[TOP_LAST_UPDATED];
        return;
    }
    json_reader_init(&reader, bytes);
    if (json_next(&reader) == JSON_OBJECT_BEGIN) {
        members_read(top, &reader, existing_top_names, TOP_COUNT);
        *last_updated = top->known[TOP_LAST_UPDATED];
    }
    json_reader_finish(&reader);
}

void existing_keep_last_updated(struct index *index, struct slice bytes, const struct timespec *otherwise)
{
    struct known_member last_updated = {0};
    struct members top = {0};
    struct buffer buffer = {0};
    members_clear(&top);
    find_last_updated(bytes, &last_updated, &top);
    struct slice text = text_of(&last_updated, &buffer);
    if (!text.bytes && otherwise) {
        buffer_clear(&buffer);
        render_time(&buffer, *otherwise);
        text = buffer_slice(&buffer);
    }
    index->is_undated = !text.bytes;
    if (text.bytes)
        set_last_updated(index, text);
    else
        index_touch(index);
    buffer_free(&buffer);
    members_free(&top);
}
