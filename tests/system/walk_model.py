# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must be in each fd store after what administrators and services did: the model that "run-walk" compares with.

A walk is a list of actions, each a tuple of strings. World.apply() does one to the model, or says by Invalid that it
makes no sense where the world is (a unit that does not run stores nothing): the shortening drops such actions. The
model knows nothing of how systemd does it, only what was promised:

- Each unit id has what is pending under it, newest first; each unit has a store, newest first.
- A kexec makes all that is in the store pending under the unit's id, in front of what is pending there already,
  whatever happens to unit files before or after it.
- A service that is executed has its store, then what is pending under its id, then what is pending under its aliases in
  alphabetical order: that is its store from there on. FileDescriptorStoreMax= leaves out the newest of what is pending,
  and each is told.
- What fails before that, or does not fit into memory, leaves what is pending as it is.
"""

import dataclasses
import random

IDS = tuple(f"walk-{letter}.service" for letter in "abcde")
NAMES = ("left", "right", "both")
# KiB of an entry: small ones, and one that does not fit into the limit, which leaves room enough for everything else
SIZES = (4, 64, 4, 64, 4, 64, BIG := 40960)
LIMIT = "24M"
# How a start ends: as it should, before the service is executed (by the exit status that systemctl shows), or after it
EARLY = ("203", "200", "226", "pre")
STARTS = ("ok", *EARLY, "exit")
PRESERVES = ("yes", "on-success")


class Invalid(Exception):
    """The action makes no sense here."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is stored: its number is its content."""

    name: str
    number: int
    kib: int
    access: str

    def __str__(self):
        return f"{self.name} {self.number} {self.kib} {self.access}"


@dataclasses.dataclass(frozen=True)
class Config:
    """A unit file."""

    maximum: int = 8
    preserve: str = "yes"
    limit: str = "infinity"
    start: str = "ok"


@dataclasses.dataclass
class Pending:
    entries: list
    # An executor took it, though the service was not executed: its memory is charged to somebody
    taken: bool = False


@dataclasses.dataclass
class Unit:
    """A loaded unit: not there before it is executed, or has something in its store."""

    state: str = "inactive"
    store: list = dataclasses.field(default_factory=list)
    maximum: int = 0
    preserve: str = "no"


class World:
    """Files, units and what is pending, and what the journal has to tell of this boot."""

    def __init__(self):
        self.files = {i: Config() for i in IDS[:3]}
        self.aside = {}
        self.loaded = dict(self.files)
        self.units = {i: Unit(maximum=8, preserve="yes") for i in IDS[:3]}
        self.pending = {}
        self.told = []
        self.number = 0
        self.boot = 0
        self.soft_reboots = 0

    # ---- questions ----

    def canonical(self, unit_id):
        found = self.loaded.get(unit_id)
        return found[1] if isinstance(found, tuple) else unit_id

    def aliases(self, unit_id):
        return sorted(i for i, f in self.loaded.items() if isinstance(f, tuple) and f[1] == unit_id)

    def names(self, unit_id):
        return [unit_id, *self.aliases(unit_id)]

    def bundles(self, unit_id):
        return [self.pending[i] for i in self.names(unit_id) if i in self.pending]

    def n_pending(self, unit_id):
        return sum(len(p.entries) for p in self.bundles(unit_id))

    def unit(self, unit_id):
        return self.units.setdefault(unit_id, Unit())

    def config(self, unit_id):
        """As PID 1 has it; None for a unit that cannot be started."""
        found = self.loaded.get(unit_id)
        return found if isinstance(found, Config) else None

    def running(self, unit_id):
        return self.unit(unit_id).state == "active"

    def units_shown(self):
        """(id, state, number in the store, number pending) of each unit that PID 1 knows."""
        for i in IDS:
            if self.canonical(i) == i:
                yield i, self.unit(i).state, len(self.unit(i).store), self.n_pending(i)

    # ---- pieces of actions ----

    def selection(self, unit_id):
        """What a start takes: [(pending, entries)], and what there is no room for."""
        room = max(self.config(unit_id).maximum - len(self.unit(unit_id).store), 0)
        taken, cut = [], []
        for pending in self.bundles(unit_id):
            kept = pending.entries[max(len(pending.entries) - room, 0) :]
            cut += pending.entries[: len(pending.entries) - len(kept)]
            room -= len(kept)
            taken.append((pending, kept))
        return taken, cut

    def release(self, unit_id):
        self.unit(unit_id).store = []

    def end(self, unit_id, state):
        """The service has ended; what its store is for is known by then."""
        unit = self.unit(unit_id)
        unit.state = state
        if unit.preserve == "no" or (unit.preserve == "on-success" and state == "failed"):
            self.release(unit_id)

    def load(self):
        """PID 1 reads the unit files."""
        before = self.units
        self.loaded = dict(self.files)
        self.units = {}
        for unit_id in sorted(before):
            old = before[unit_id]
            if isinstance(self.loaded.get(unit_id), tuple):
                # Only where nothing would have to be merged: see alias()
                continue
            unit = self.units[unit_id] = dataclasses.replace(old)
            config = self.config(unit_id)
            if config:
                unit.maximum, unit.preserve = config.maximum, config.preserve
                unit.store = old.store[max(len(old.store) - config.maximum, 0) :]
            elif old.store:
                # Without a file whatever is in the store stays
                unit.maximum, unit.preserve = len(old.store), "yes"
            else:
                unit.maximum, unit.preserve = 0, "no"
        for unit_id, found in self.loaded.items():
            if isinstance(found, Config):
                self.unit(unit_id).maximum, self.unit(unit_id).preserve = found.maximum, found.preserve
        # As stock systemd: the setting that counts is the one by now
        for unit_id, unit in self.units.items():
            if unit.state == "failed" and unit.preserve == "on-success":
                self.release(unit_id)

    def must_be_loadable(self):
        """Neither merges units that both have something, nor kills a service by a limit below what it has."""
        for i, found in self.files.items():
            unit = self.unit(i)
            if isinstance(found, tuple) and not isinstance(self.loaded.get(i), tuple):
                if unit.store or unit.state == "active":
                    raise Invalid
            if isinstance(found, Config) and found.limit != "infinity" and unit.state == "active":
                if any(e.kib >= BIG for e in unit.store):
                    raise Invalid

    def has_aliases(self, unit_id):
        return any(isinstance(f, tuple) and f[1] == unit_id for f in self.files.values())

    def file(self, unit_id):
        """The unit file on disk, for an action that needs one."""
        found = self.files.get(unit_id)
        if not isinstance(found, Config):
            raise Invalid
        return found

    # ---- actions ----

    def apply(self, action):
        """Returns what the machine has to answer: a word, and the fds that a service was passed or None."""
        verb, *arguments = action
        return getattr(self, "do_" + verb.replace("-", "_"))(*arguments)

    def do_edit(self, unit_id, maximum, preserve, limit, start):
        self.file(unit_id)
        self.files[unit_id] = Config(int(maximum), preserve, limit, start)
        return "ok", None

    def do_mask(self, unit_id):
        if self.has_aliases(unit_id):
            raise Invalid
        self.aside[unit_id] = self.file(unit_id)
        self.files[unit_id] = "masked"
        return "ok", None

    def do_remove_file(self, unit_id):
        if self.has_aliases(unit_id):
            raise Invalid
        self.aside[unit_id] = self.file(unit_id)
        del self.files[unit_id]
        return "ok", None

    def do_bring_back(self, unit_id):
        """The file of a unit that was masked, removed, or an alias."""
        if unit_id not in self.aside:
            raise Invalid
        self.files[unit_id] = self.aside.pop(unit_id)
        return "ok", None

    def do_rename(self, unit_id, new_id):
        if self.has_aliases(unit_id) or new_id in self.files or new_id in self.aside:
            raise Invalid
        self.files[new_id] = self.file(unit_id)
        del self.files[unit_id]
        return "ok", None

    def do_alias(self, unit_id, target):
        if unit_id == target or self.has_aliases(unit_id):
            raise Invalid
        self.file(target)
        self.aside[unit_id] = self.file(unit_id)
        self.files[unit_id] = ("alias", target)
        return "ok", None

    def do_reload(self):
        self.must_be_loadable()
        self.load()
        return "ok", None

    do_reexec = do_reload

    def do_start(self, unit_id):
        unit_id = self.canonical(unit_id)
        config = self.config(unit_id)
        unit = self.unit(unit_id)
        # Masked, or without a file, it is refused even if it is up
        if not config:
            # PID 1 looks again whether there is a file, if it has forgotten the unit meanwhile
            if self.files.get(unit_id) != self.loaded.get(unit_id):
                raise Invalid
            return "refused", None
        if unit.state == "active":
            return "ok", None
        if config.start == "pre":
            self.end(unit_id, "failed")
            return "exit-code", None
        taken, cut = self.selection(unit_id)
        needed = sum(e.kib for p, kept in taken for e in kept if not p.taken)
        if config.limit != "infinity" and needed >= BIG:
            self.end(unit_id, "failed")
            return "resources", None
        for pending, _ in taken:
            pending.taken = True
        if config.start in EARLY:
            self.end(unit_id, "failed")
            return "exit-code", None
        unit.store = unit.store + [e for _, kept in taken for e in kept]
        self.told += [(unit_id, e.name) for e in cut]
        for i in self.names(unit_id):
            self.pending.pop(i, None)
        passed = list(unit.store)
        if config.start == "exit":
            self.end(unit_id, "failed")
            return "exit-code", passed
        unit.state = "active"
        return "ok", passed

    def must_run(self, unit_id):
        unit_id = self.canonical(unit_id)
        if not self.running(unit_id):
            raise Invalid
        return unit_id

    def must_be_heard(self, unit_id):
        """A unit that is up and masked has no NotifyAccess= any more, and what it says is refused."""
        unit_id = self.must_run(unit_id)
        if not self.config(unit_id):
            raise Invalid
        return unit_id

    def do_stop(self, unit_id):
        self.end(self.must_run(unit_id), "inactive")
        return "ok", None

    def do_kill(self, unit_id):
        self.end(self.must_run(unit_id), "failed")
        return "ok", None

    do_fail = do_kill

    def do_clean(self, unit_id):
        unit_id = self.canonical(unit_id)
        if not self.config(unit_id):
            raise Invalid
        if self.running(unit_id):
            return "refused", None
        self.release(unit_id)
        for i in self.names(unit_id):
            self.pending.pop(i, None)
        return "ok", None

    def must_have_room(self, unit_id, kib, n_stored):
        config = self.config(unit_id)
        # A service that is over its limit is killed, which is not what this is about
        if int(kib) >= BIG and (not config or config.limit != "infinity"):
            raise Invalid
        if n_stored + self.n_pending(unit_id) >= self.unit(unit_id).maximum:
            raise Invalid

    def do_store(self, unit_id, name, kib, access):
        unit_id = self.must_be_heard(unit_id)
        unit = self.unit(unit_id)
        self.must_have_room(unit_id, kib, len(unit.store))
        self.number += 1
        unit.store = [Entry(name, self.number, int(kib), access), *unit.store]
        return "ok", None

    def do_remove(self, unit_id, name):
        unit_id = self.must_be_heard(unit_id)
        unit = self.unit(unit_id)
        # What is pending beside a service that is up came with an alias: it has not had that, and does not mean it
        unit.store = [e for e in unit.store if e.name != name]
        return "ok", None

    def do_replace(self, unit_id, name, kib, access):
        unit_id = self.must_be_heard(unit_id)
        before = self.unit(unit_id).store
        rest = [e for e in before if e.name != name]
        if len(rest) == len(before):
            raise Invalid
        self.must_have_room(unit_id, kib, len(rest))
        self.do_remove(unit_id, name)
        return self.do_store(unit_id, name, kib, access)

    def stop_all(self):
        for unit_id, unit in self.units.items():
            if unit.state == "active":
                self.end(unit_id, "inactive")

    def do_soft_reboot(self):
        self.must_be_loadable()
        self.stop_all()
        self.load()
        self.soft_reboots += 1
        return "ok", None

    def do_kexec(self):
        self.stop_all()
        for unit_id, unit in sorted(self.units.items()):
            if not unit.store:
                continue
            old = self.pending.get(unit_id)
            rest = old.entries if old else []
            self.pending[unit_id] = Pending([*unit.store, *rest])
        self.pending = {i: Pending(pending.entries) for i, pending in self.pending.items()}
        self.units = {}
        self.load()
        self.told = []
        self.boot += 1
        self.soft_reboots = 0
        return "ok", None


# How often each is tried; what makes no sense where the world is goes to another one
WEIGHTS = {
    "store": 40, "remove": 12, "replace": 12, "start": 18, "stop": 8, "kill": 5, "fail": 4, "clean": 0.5, "edit": 8,
    "mask": 1, "remove-file": 1, "bring-back": 12, "rename": 1, "alias": 4, "reload": 14, "reexec": 6,
    "soft-reboot": 0.5, "kexec": 3,
}


def random_action(dice):
    verb = dice.choices(list(WEIGHTS), WEIGHTS.values())[0]
    unit_id = dice.choice(IDS)
    name = dice.choice(NAMES)
    kib = str(dice.choice(SIZES))
    access = dice.choice(("rw", "rw", "ro"))
    if verb in ("store", "replace"):
        return (verb, unit_id, name, kib, access)
    if verb == "remove":
        return (verb, unit_id, name)
    if verb == "edit":
        start = dice.choice(STARTS) if dice.random() < 0.4 else "ok"
        limit = LIMIT if dice.random() < 0.2 else "infinity"
        return (verb, unit_id, str(dice.choice((1, 2, 4, 8, 8))), dice.choice(PRESERVES), limit, start)
    if verb in ("rename", "alias"):
        return (verb, unit_id, dice.choice(IDS))
    if verb in ("reload", "reexec", "soft-reboot", "kexec"):
        return (verb,)
    return (verb, unit_id)


def is_idle(world, action):
    """It would change nothing: worth doing now and then only."""
    verb, *arguments = action
    if verb == "start":
        return not world.config(world.canonical(arguments[0])) or world.running(world.canonical(arguments[0]))
    if verb in ("reload", "reexec"):
        return world.loaded == world.files
    if verb in ("soft-reboot", "kexec"):
        return not (world.pending or any(u.store for u in world.units.values()))
    if verb == "clean":
        return world.running(world.canonical(arguments[0]))
    return False


def random_walk(seed, steps, kexecs=None):
    """The same for the same seed; with no more than so many kexecs, each of which costs a minute."""
    dice = random.Random(seed)
    world = World()
    actions = []
    while len(actions) < steps:
        action = random_action(dice)
        if action[0] == "kexec" and kexecs is not None and world.boot >= kexecs:
            continue
        if is_idle(world, action) and (action[0] in ("soft-reboot", "kexec") or dice.random() < 0.9):
            continue
        try:
            world.apply(action)
        except Invalid:
            continue
        actions.append(action)
    return actions


def valid(actions):
    """Those actions that make sense one after the other."""
    world = World()
    kept = []
    for action in actions:
        try:
            world.apply(action)
        except Invalid:
            continue
        kept.append(action)
    return kept


def plan(actions):
    """What the machine has to do and to find, line by line."""
    world = World()
    lines = []
    for number, action in enumerate(actions, 1):
        expected, passed = world.apply(action)
        lines.append(" ".join(["step", str(number), str(world.number), expected, *action]))
        if passed is not None:
            lines += [f"passed {e}" for e in passed]
            lines.append("passed end")
        for unit_id, state, stored, pending in world.units_shown():
            lines.append(f"unit {unit_id} {'active' if state == 'active' else 'inactive'} {stored} {pending}")
            lines += [f"stored {e.name} {e.access}" for e in world.unit(unit_id).store]
        lines += [f"told {unit_id} {name}" for unit_id, name in sorted(world.told)]
        lines.append("look")
    return [f"kexecs {world.boot}", *lines]


def shorten(actions, fails, say=lambda text: None):
    """The shortest sequence that still fails, as far as leaving out helps: ever smaller pieces, then single actions.

    fails(actions) runs them and returns the number of the action that failed, or 0.
    """
    failed_at = fails(actions)
    if not failed_at:
        return None
    actions = actions[:failed_at]
    size = max(len(actions) // 2, 1)
    while True:
        start = 0
        shorter = False
        while start < len(actions):
            candidate = valid(actions[:start] + actions[start + size :])
            if candidate and len(candidate) < len(actions):
                say(f"{len(actions)} actions fail, trying {len(candidate)}")
                failed_at = fails(candidate)
                if failed_at:
                    actions = candidate[:failed_at]
                    shorter = True
                    continue
            start += size
        if size == 1 and not shorter:
            return actions
        size = max(size // 2, 1)
