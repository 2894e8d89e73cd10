"""The errors of a rehearsal. Pure."""


class RehearsalFailed(Exception):
    """The rehearsal can't start or can't continue; the message says why and what to do."""


class ProgramMissing(RehearsalFailed):
    """A program is not installed; the message names the package."""


class ManifestsInvalid(RehearsalFailed):
    """Istio would refuse some of the objects; the message names each object and field."""


class NotRehearsable(RehearsalFailed):
    """A feature that a rehearsal can't imitate could change its answer; the message names it."""


class KeysUnused(RehearsalFailed):
    """Keys of tokens are given that no RequestAuthentication asks for; the message names them."""


class NoIngress(RehearsalFailed):
    """No Gateway accepts requests for the VirtualService; the message says what is missing."""


class EnvoyAdminFailed(RehearsalFailed):
    """Envoy's admin listener does not respond, or responds with an error."""


class ConfigurationInvalid(RehearsalFailed):
    """``envoy --mode validate`` rejects the configuration; the message is Envoy's."""


class NotApplied(RehearsalFailed):
    """Envoy rejected an update or did not apply it in time; the previous one stays in force."""
