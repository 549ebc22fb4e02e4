"""Acting as another user: a forked child takes an identity, does one thing, and tells how it went."""

import errno
import os
import pickle
import traceback


def as_user(uid, gid, groups, function, *arguments, umask=0o022):
    """What function(*arguments) returns under that identity, or the name of the error it raised ("EACCES")."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.umask(umask)
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            try:
                outcome = function(*arguments)
            except OSError as error:
                outcome = errno.errorcode[error.errno]
            os.write(writing, pickle.dumps(outcome))
            status = 0
        except BaseException:  # a forked copy of pytest must never get any further
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as pipe:
        outcome = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, "the child failed by itself"
    return pickle.loads(outcome)
