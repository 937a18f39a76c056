"""Compaction: entries of calls that are older than they have to be leave the ledger for an archive.

What stays are the sums of all of them, every entry of another kind, and a chained entry that names both. The archive is
on the disk before anything is deleted: whoever dies in between has written entries twice and lost none.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from reconciler.ledger.annex import AnnexStore, LostClaimError, Statement
from reconciler.ledger.archive import Archive, ArchiveError
from reconciler.ledger.book import Book
from reconciler.ledger.checkpoint import KIND, START, Checkpoint, checkpoint_key, kept_digest, last_checkpoint
from reconciler.ledger.entry import Entry
from reconciler.ledger.jobs import Found, Job

PAGE = 1000
#: Entries archived at once.
MOST = 100_000
_CHECK = """
    INSERT INTO checkpoint (tenant, seq, head, at, state) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, head = excluded.head, at = excluded.at,
      state = excluded.state WHERE checkpoint.seq = ?
"""


class Compacted(NamedTuple):
    """What became of a tenant: entries that left the ledger, up to which number; none where nothing was old enough."""

    tenant: str
    archived: int
    seq: int


class ArchivedError(ArchiveError):
    """What is asked for needs entries that are in an archive and no more in the ledger."""


def compact(store: AnnexStore, tenant: str, before: int, kinds: Collection[str], archive: Archive) -> Compacted:
    """Archive a tenant's entries up to the first that is not old enough; those of ``kinds`` leave the ledger.

    At most so many at once: while some are archived there may be more. ArchiveError where the archive does not fit the
    ledger, or the ledger does not add up: nothing is deleted then.
    """
    with archive.writing(tenant) as path:
        begun = last_checkpoint(store, tenant) or START
        old = list(islice(_old(store, tenant, begun, before), MOST))
        leave = [entry for entry in old if entry.kind in kinds]
        if not leave:
            return Compacted(tenant, 0, begun.seq)
        if archive.proved(tenant, begun.seq)[0] != begun:
            raise ArchiveError("E1135", f"the archive {path} does not add up to the ledger's checkpoint")
        archive.append(path, old)
        checkpoint, digest = archive.proved(tenant, old[-1].seq)
        if checkpoint.head != old[-1].hash:
            raise ArchiveError("E1135", f"the archive {path} has other entries than the ledger")
        kept = [*_kept(store, tenant, begun.seq), *(entry for entry in old if entry.kind not in kinds)]
        answer = checkpoint.answer(kept_digest(kept), digest, checkpoint.seq - len(kept))
        with suppress(LostClaimError):
            store.alongside(_leaving(tenant, checkpoint, begun, leave), [_naming(tenant, checkpoint, answer)])
            return Compacted(tenant, len(leave), checkpoint.seq)
    return Compacted(tenant, 0, begun.seq)


def proved(store: AnnexStore, tenant: str, archive: Archive) -> list[str]:
    """Return what a tenant's archive and the ledger do not agree about; nothing for honest ones."""
    checkpoint = last_checkpoint(store, tenant)
    if checkpoint is None:
        return []
    try:
        found, digest = archive.proved(tenant, checkpoint.seq)
    except ArchiveError as error:
        return [str(error)]
    said = store.entry(tenant, checkpoint_key(checkpoint.seq))
    wrong = [] if found == checkpoint else ["the archive does not add up to the checkpoint"]
    if said is None or said.answer.get("archive") != digest.hex():
        wrong.append("the archive is not the one that was written")
    return wrong


def whole(store: AnnexStore, tenant: str, since: int | None) -> None:
    """Raise ArchivedError where entries from an instant on, or from the first on, are not all in the ledger."""
    checkpoint = last_checkpoint(store, tenant)
    if checkpoint is not None and (since is None or since <= checkpoint.at):
        raise ArchivedError(
            "E1136",
            f"calls of {tenant!r} up to entry {checkpoint.seq} are archived",
            remedy="Ask for a period that begins later.",
        )


def _old(store: AnnexStore, tenant: str, begun: Checkpoint, before: int) -> Iterator[Entry]:
    """Yield the entries behind a checkpoint up to the first that is young."""
    after = begun.seq
    while page := store.entries(tenant, after, PAGE):
        for entry in page:
            if entry.at >= before:
                return
            yield entry
        after = page[-1].seq


def _kept(store: AnnexStore, tenant: str, last: int) -> Iterator[Entry]:
    after = 0
    while last and (page := store.entries(tenant, after, PAGE)):
        for entry in page:
            if entry.seq > last:
                return
            yield entry
        after = page[-1].seq


def _leaving(tenant: str, to: Checkpoint, begun: Checkpoint, leave: list[Entry]) -> list[Statement]:
    """Return what writes a checkpoint and deletes what it covers."""
    values = (tenant, to.seq, to.head.hex(), to.at, to.state, begun.seq)
    kinds = sorted({entry.kind for entry in leave})
    marks = ", ".join("?" * len(kinds))
    delete = f"DELETE FROM entry WHERE tenant = ? AND seq > ? AND seq <= ? AND kind IN ({marks})"  # noqa: S608  marks
    return [Statement(_CHECK, values, must=True), Statement(delete, (tenant, begun.seq, to.seq, *kinds), must=True)]


def _naming(tenant: str, checkpoint: Checkpoint, answer: object) -> Job:
    """Return the job that enters a checkpoint into the chain."""
    key = checkpoint_key(checkpoint.seq)

    def act(book: Book, now: int, _found: Found) -> None:
        book.enter(KIND, now, answer, key)

    return Job(tenant, act, key)
