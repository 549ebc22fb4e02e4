/*
 * Objects: ids, trees, blobs and commits, read from the database as they stand there.
 */
#include "core/base/limits.h"
#include "core/base/memory.h"
#include "core/git/repository_internal.h"
#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool object_id_is_none(const struct object_id *id)
{
    static const struct object_id none;
    return object_id_equal(id, &none);
}

bool object_id_equal(const struct object_id *a, const struct object_id *b)
{
    return memcmp(a->bytes, b->bytes, OBJECT_ID_BYTES) == 0;
}

void object_id_format(const struct object_id *id, char text[OBJECT_ID_DIGITS + 1])
{
    git_oid oid = oid_of(id);
    git_oid_tostr(text, OBJECT_ID_DIGITS + 1, &oid);
}

bool object_id_parse(const char *text, struct object_id *id)
{
    git_oid oid;
    for (size_t i = 0; i < OBJECT_ID_DIGITS; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    if (text[OBJECT_ID_DIGITS] != '\0' || git_oid_fromstrn(&oid, text, OBJECT_ID_DIGITS) != 0)
        return false;
    *id = id_of(&oid);
    return true;
}

/* The object, which must be of that type. 0, to be freed with git_odb_object_free; -EIO. */
static int read_object(struct repository *repository, const struct object_id *id, git_object_t type,
                       git_odb_object **object)
{
    git_oid oid = oid_of(id);
    if (repository_result(git_odb_read(object, repository->objects, &oid)) != 0)
        return -EIO;
    if (git_odb_object_type(*object) == type)
        return 0;
    repository_fail(-EIO, "object %s is a %s, not a %s", git_oid_tostr_s(&oid),
                    git_object_type2string(git_odb_object_type(*object)), git_object_type2string(type));
    git_odb_object_free(*object);
    return -EIO;
}

/* ---- trees ---- */

/* One entry of a tree's bytes: `<octal mode> <name>\0<20 bytes>`; its beginning is moved behind it. False
 * where there is none any more, or the bytes are no tree's. */
struct raw_entry {
    unsigned mode;
    const char *name;
    size_t name_length;
    const unsigned char *id;
};

static bool next_entry(const char **at, const char *end, struct raw_entry *entry)
{
    const char *space = memchr(*at, ' ', (size_t)(end - *at));
    const char *zero = space ? memchr(space, '\0', (size_t)(end - space)) : NULL;
    if (!zero || end - zero < 1 + OBJECT_ID_BYTES)
        return false;
    entry->mode = 0;
    for (const char *digit = *at; digit < space; digit++)
        entry->mode = entry->mode * 8 + (unsigned)(*digit - '0');
    entry->name = space + 1;
    entry->name_length = (size_t)(zero - entry->name);
    entry->id = (const unsigned char *)zero + 1;
    *at = zero + 1 + OBJECT_ID_BYTES;
    return true;
}

static bool is_name(const struct raw_entry *entry)
{
    return entry->name_length > 0 && entry->name_length <= LIMIT_NAME_BYTES &&
           strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0 &&
           !memchr(entry->name, '/', entry->name_length);
}

static void take_entry(const struct raw_entry *raw, struct tree_entry *entry)
{
    memcpy(entry->id.bytes, raw->id, OBJECT_ID_BYTES);
    switch (raw->mode & S_IFMT) {
    case S_IFREG:
        entry->mode = S_IFREG | (raw->mode & 0100 ? 0755 : 0644);
        break;
    case S_IFLNK:
        entry->mode = S_IFLNK | 0777;
        break;
    case S_IFDIR:
        entry->mode = S_IFDIR | 0755;
        break;
    default: /* a commit of another repository */
        entry->mode = S_IFDIR | 0755;
        entry->id = (struct object_id){{0}};
    }
}

struct tree *tree_parse(const char *bytes, size_t length)
{
    const char *end = bytes + length;
    struct raw_entry raw;
    size_t count = 0, name_bytes = 0;
    for (const char *at = bytes; next_entry(&at, end, &raw);) {
        count++;
        name_bytes += raw.name_length + 1;
    }
    struct tree *tree = memory_alloc(sizeof(*tree) + count * sizeof(tree->entries[0]) + name_bytes);
    char *names = (char *)&tree->entries[count];
    tree->count = 0;
    for (const char *at = bytes; next_entry(&at, end, &raw);) {
        if (!is_name(&raw))
            continue;
        struct tree_entry *entry = &tree->entries[tree->count++];
        take_entry(&raw, entry);
        memcpy(names, raw.name, raw.name_length + 1);
        entry->name = names;
        names += raw.name_length + 1;
    }
    return tree;
}

int tree_read(struct repository *repository, const struct object_id *id, struct tree **tree)
{
    git_odb_object *object;
    if (object_id_is_none(id)) {
        *tree = tree_parse("", 0);
        return 0;
    }
    int error = read_object(repository, id, GIT_OBJECT_TREE, &object);
    if (error)
        return error;
    *tree = tree_parse(git_odb_object_data(object), git_odb_object_size(object));
    git_odb_object_free(object);
    return 0;
}

/* Entries of a tree's bytes on their way to be a tree. */
struct raw_list {
    struct raw_entry *entries;
    size_t count, capacity, name_bytes;
};

static void raw_list_add(struct raw_list *list, const struct raw_entry *entry)
{
    if (!is_name(entry))
        return;
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->entries = memory_resize(list->entries, list->capacity * sizeof(*list->entries));
    }
    list->entries[list->count++] = *entry;
    list->name_bytes += entry->name_length + 1;
}

/* The tree, of which the list's memory is no part; frees the list. */
static struct tree *raw_list_end(struct raw_list *list)
{
    struct tree *tree =
        memory_alloc(sizeof(*tree) + list->count * sizeof(tree->entries[0]) + list->name_bytes);
    char *names = (char *)&tree->entries[list->count];
    tree->count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        const struct raw_entry *raw = &list->entries[i];
        take_entry(raw, &tree->entries[i]);
        memcpy(names, raw->name, raw->name_length + 1);
        tree->entries[i].name = names;
        names += raw->name_length + 1;
    }
    free(list->entries);
    return tree;
}

/* The bytes of a tree from one entry on. */
struct raw_place {
    const char *begin, *next; /* of the entry and of the one behind it */
    const char *end;
    struct raw_entry entry;
    bool has_entry;
};

static void raw_advance(struct raw_place *place)
{
    place->begin = place->next;
    place->has_entry = next_entry(&place->next, place->end, &place->entry);
}

static bool is_directory(const struct raw_entry *entry)
{
    return S_ISDIR(entry->mode);
}

/* Goes over what is the same on both sides: most of it, by its bytes. */
static void pick_differing(struct raw_place *old_place, struct raw_place *new_place,
                           struct raw_list *old_list, struct raw_list *new_list)
{
    raw_advance(old_place);
    raw_advance(new_place);
    while (old_place->has_entry || new_place->has_entry) {
        size_t length = (size_t)(old_place->next - old_place->begin);
        int order = !old_place->has_entry ? 1 : !new_place->has_entry ? -1 : 0;
        if (order == 0 && length == (size_t)(new_place->next - new_place->begin) &&
            memcmp(old_place->begin, new_place->begin, length) == 0) {
            raw_advance(old_place);
            raw_advance(new_place);
            continue;
        }
        if (order == 0)
            order = tree_name_compare(old_place->entry.name, is_directory(&old_place->entry),
                                      new_place->entry.name, is_directory(&new_place->entry));
        if (order <= 0) {
            raw_list_add(old_list, &old_place->entry);
            raw_advance(old_place);
        }
        if (order >= 0) {
            raw_list_add(new_list, &new_place->entry);
            raw_advance(new_place);
        }
    }
}

/* The bytes of a tree; none of no id: *object is NULL then. */
static int read_raw_tree(struct repository *repository, const struct object_id *id, git_odb_object **object,
                         struct raw_place *place)
{
    *object = NULL;
    *place = (struct raw_place){.next = "", .end = ""};
    if (object_id_is_none(id))
        return 0;
    int error = read_object(repository, id, GIT_OBJECT_TREE, object);
    if (error)
        return error;
    place->next = git_odb_object_data(*object);
    place->end = place->next + git_odb_object_size(*object);
    return 0;
}

int tree_read_differing(struct repository *repository, const struct object_id *old_id,
                        const struct object_id *new_id, struct tree **old_tree, struct tree **new_tree)
{
    git_odb_object *old_object, *new_object;
    struct raw_place old_place, new_place;
    struct raw_list old_list = {0}, new_list = {0};
    int error = read_raw_tree(repository, old_id, &old_object, &old_place);
    if (error)
        return error;
    error = read_raw_tree(repository, new_id, &new_object, &new_place);
    if (error == 0) {
        pick_differing(&old_place, &new_place, &old_list, &new_list);
        *old_tree = raw_list_end(&old_list);
        *new_tree = raw_list_end(&new_list);
        git_odb_object_free(new_object);
    }
    git_odb_object_free(old_object);
    return error;
}

size_t tree_bytes(const struct tree *tree)
{
    return malloc_usable_size((void *)tree) + sizeof(size_t);
}

const struct tree_entry *tree_find(const struct tree *tree, const char *name)
{
    /* A file and a directory of one beginning stand at different places: each is looked for by its own order.
     */
    for (int as_directory = 0; as_directory <= 1; as_directory++) {
        size_t low = 0, high = tree->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            const struct tree_entry *entry = &tree->entries[middle];
            int order = tree_name_compare(entry->name, S_ISDIR(entry->mode), name, as_directory);
            if (order == 0)
                return entry;
            if (order < 0)
                low = middle + 1;
            else
                high = middle;
        }
    }
    return NULL;
}

int tree_name_compare(const char *a, bool a_is_directory, const char *b, bool b_is_directory)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    unsigned char end_a = (unsigned char)(!*a && a_is_directory ? '/' : *a);
    unsigned char end_b = (unsigned char)(!*b && b_is_directory ? '/' : *b);
    return end_a < end_b ? -1 : end_a > end_b;
}

int tree_entry_of(struct repository *repository, const struct object_id *tree, const char *name,
                  struct tree_entry *entry)
{
    git_odb_object *object;
    size_t length = strlen(name);
    if (object_id_is_none(tree))
        return -ENOENT;
    int error = read_object(repository, tree, GIT_OBJECT_TREE, &object);
    if (error)
        return error;
    const char *at = git_odb_object_data(object), *end = at + git_odb_object_size(object);
    error = -ENOENT;
    for (struct raw_entry raw; error && next_entry(&at, end, &raw);) {
        if (raw.name_length != length || memcmp(raw.name, name, length) != 0)
            continue;
        take_entry(&raw, entry);
        entry->name = NULL;
        error = 0;
    }
    git_odb_object_free(object);
    return error;
}

/* ---- blobs ---- */

int blob_size(struct repository *repository, const struct object_id *id, uint64_t *size_bytes)
{
    git_oid oid = oid_of(id);
    size_t size;
    git_object_t type;
    if (repository_result(git_odb_read_header(&size, &type, repository->objects, &oid)) != 0)
        return -EIO;
    if (type != GIT_OBJECT_BLOB)
        return repository_fail(-EIO, "object %s is no blob", git_oid_tostr_s(&oid));
    *size_bytes = size;
    return 0;
}

int blob_read(struct repository *repository, const struct object_id *id, uint64_t limit_bytes,
              struct buffer *content)
{
    git_odb_object *object;
    uint64_t size;
    int error = blob_size(repository, id, &size);
    if (error == 0 && size > limit_bytes)
        error =
            repository_fail(-EFBIG, "the file is larger than %llu MB", (unsigned long long)limit_bytes >> 20);
    if (error == 0)
        error = read_object(repository, id, GIT_OBJECT_BLOB, &object);
    if (error)
        return error;
    error = buffer_reserve(content, git_odb_object_size(object));
    if (error == 0)
        buffer_append(content, git_odb_object_data(object), git_odb_object_size(object));
    git_odb_object_free(object);
    return error;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return repository_fail(-errno, "a copy of it can't be written: %s", strerrordesc_np(errno));
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

/* Of an object that can be read in pieces. -ENOTSUP where it can't. */
static int write_stream(struct repository *repository, const git_oid *oid, uint64_t size_bytes, int fd)
{
    git_odb_stream *stream;
    git_object_t type;
    size_t size;
    char piece[64 << 10];
    uint64_t done = 0;
    if (git_odb_open_rstream(&stream, &size, &type, repository->objects, oid) != 0)
        return -ENOTSUP;
    int error = 0;
    while (error == 0 && done < size_bytes) {
        int length = git_odb_stream_read(stream, piece, sizeof(piece));
        if (length <= 0)
            error = length < 0 && repository_result(length)
                        ? -EIO
                        : repository_fail(-EIO, "object %s is cut off", git_oid_tostr_s(oid));
        else
            error = write_all(fd, piece, (size_t)length);
        done += length > 0 ? (uint64_t)length : 0;
    }
    git_odb_stream_free(stream);
    return error;
}

int blob_write(struct repository *repository, const struct object_id *id, int fd)
{
    git_oid oid = oid_of(id);
    git_odb_object *object;
    uint64_t size_bytes;
    int error = blob_size(repository, id, &size_bytes);
    if (error == 0)
        error = write_stream(repository, &oid, size_bytes, fd);
    if (error != -ENOTSUP)
        return error;
    if (size_bytes > LIMIT_PACKED_BLOB_BYTES)
        return repository_fail(-EFBIG, "it lies in a pack and is larger than %llu MB",
                               LIMIT_PACKED_BLOB_BYTES >> 20);
    error = read_object(repository, id, GIT_OBJECT_BLOB, &object);
    if (error)
        return error;
    error = write_all(fd, git_odb_object_data(object), git_odb_object_size(object));
    git_odb_object_free(object);
    return error;
}

/* ---- commits ---- */

/* The tree of the source in that of the whole working tree. */
static int source_tree(struct repository *repository, const git_oid *top, struct object_id *tree)
{
    char name[LIMIT_NAME_BYTES + 1];
    *tree = id_of(top);
    for (const char *at = repository->prefix; *at;) {
        size_t length = strcspn(at, "/");
        struct tree_entry entry;
        memcpy(name, at, length);
        name[length] = '\0';
        int error = tree_entry_of(repository, tree, name, &entry);
        if (error && error != -ENOENT)
            return error;
        *tree = error || !S_ISDIR(entry.mode) ? (struct object_id){{0}} : entry.id;
        at += length + (at[length] == '/');
    }
    return 0;
}

int commit_of(struct repository *repository, git_commit *object, struct commit *commit)
{
    commit->id = id_of(git_commit_id(object));
    commit->time_s = git_commit_time(object);
    return source_tree(repository, git_commit_tree_id(object), &commit->tree);
}

int commit_read(struct repository *repository, const struct object_id *id, struct commit *commit)
{
    git_oid oid = oid_of(id);
    git_commit *object;
    int error = repository_result(git_commit_lookup(&object, repository->handle, &oid));
    if (error)
        return error;
    error = commit_of(repository, object, commit);
    git_commit_free(object);
    return error;
}
