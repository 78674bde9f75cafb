"""The one error that users see, and the catalogue of its codes.

A :class:`UserError` is something foreseeable: it has a stable code, one sentence that says what is wrong and
one that says what to do.  It is caught once, at the top (``cli``) or by the job that it ends.  Any other
exception is a bug and shows as one.  ``docs/errors.md`` is made from :data:`CATALOGUE`.
"""

from __future__ import annotations

from dataclasses import dataclass

FAILED = 1
USAGE = 2
CANNOT_RUN = 3
INTERRUPTED = 130


@dataclass(frozen=True)
class ErrorKind:
    """What a code means: the exit status of a command that ends with it, and whether a job may be tried again."""

    meaning: str
    remedy: str
    exit_code: int = FAILED
    transient: bool = False


CATALOGUE: dict[str, ErrorKind] = {
    # ------------------------------------------------------------------ what the user typed
    "usage": ErrorKind("The command line is not understood.", "See --help of the command.", USAGE),
    "path.missing": ErrorKind("A path that was named does not exist.", "Check the spelling of the path.", USAGE),
    "path.no_videos": ErrorKind(
        "A folder that was named holds no raw video.",
        "Name a session folder (<subject>/<yyyy-mm-dd>/<nnn>) with raw_video_data/_iblrig_<camera>Camera.raw.mp4, "
        "or a folder above such sessions.",
        USAGE,
    ),
    "path.not_a_video": ErrorKind(
        "A file that was named is not a raw video in the IBL's layout.",
        "Name <subject>/<yyyy-mm-dd>/<nnn>/raw_video_data/_iblrig_<left|right|body>Camera.raw.mp4.",
        USAGE,
    ),
    "path.outside": ErrorKind(
        "A path, or what a link in it points to, lies outside the subjects folder.",
        "Move it below subjects_dir, or set subjects_dir (IBLVIDEO_ADMIN_SUBJECTS_DIR) to the folder that holds it.",
    ),
    "windows.invalid": ErrorKind(
        "The windows file cannot be used.",
        "Write per camera the points in raw pixels, as in: [left] then nose_tip = [340, 560]; see docs/tracking.md.",
        USAGE,
    ),
    "settings.invalid": ErrorKind(
        "The configuration holds a value that cannot be used.",
        "Correct the named field; `iblvideo-admin config show` lists all fields.",
        CANNOT_RUN,
    ),
    "toolchain.unknown": ErrorKind("There is no toolchain of that name.", "Choose one of those listed.", USAGE),
    # ------------------------------------------------------------------ the server
    "toolchain.not_provisioned": ErrorKind(
        "The toolchain's Python cannot be run on this host, or lacks a package.",
        "Run `ansible-playbook site.yml`, or set dlc_python to the toolchain's interpreter.",
        CANNOT_RUN,
    ),
    "engine.not_available": ErrorKind(
        "The engine that was asked for is not installed here.", "Leave out --engine.", CANNOT_RUN
    ),
    "slurm.not_available": ErrorKind("Jobs cannot be sent to Slurm yet.", "Use --executor local.", CANNOT_RUN),
    "alyx.not_configured": ErrorKind(
        "It is not known which Alyx, repository or login is meant.",
        "Set alyx_url and data_repository; the role `one` writes the login of the service's user.",
        CANNOT_RUN,
    ),
    "alyx.not_reachable": ErrorKind(
        "Alyx or the data server does not answer as it should.",
        "Nothing is lost: what waits is delivered when it answers; `iblvideo-admin status` shows it.",
        CANNOT_RUN,
        transient=True,
    ),
    "alyx.login": ErrorKind(
        "Alyx or the data server refuses the login.",
        "Correct ONE's parameters of this user: the role `one` writes them from the inventory's vault.",
        CANNOT_RUN,
    ),
    "alyx.refused": ErrorKind("Alyx refuses what was asked of it.", "Look at the task or the session in Alyx."),
    "alyx.protected": ErrorKind(
        "The dataset that would be made is protected in Alyx.",
        "Leave it as it is, or take its protection away in Alyx and set the task to Waiting.",
    ),
    "alyx.not_ours": ErrorKind(
        "The setting dlc_tasks leaves the DLC tasks to ibllib.",
        'Stop ibllib\'s jobs of this kind, then set dlc_tasks = "iblvideo-admin".',
        CANNOT_RUN,
    ),
    "alyx.busy": ErrorKind(
        "Another process of this server takes this repository's tasks.",
        "It is probably the service: `iblvideo-admin status` shows what it does.",
        CANNOT_RUN,
        transient=True,
    ),
    "download.damaged": ErrorKind(
        "What was downloaded is not what it should be.", "Try again; then ask who owns the server.", transient=True
    ),
    "state.not_usable": ErrorKind(
        "The state folder (jobs and ledger) cannot be used.",
        "Make state_dir writable for this user, or set IBLVIDEO_ADMIN_STATE_DIR to a folder that is.",
        CANNOT_RUN,
    ),
    "weights.missing": ErrorKind(
        "A network's folder is not in the weights folder.",
        "Install the IBL's weights there (role weights), or set weights_dir.",
        CANNOT_RUN,
    ),
    "weights.damaged": ErrorKind(
        "A network's folder is incomplete or does not fit its description.",
        "Install the weights again.",
        CANNOT_RUN,
    ),
    "weights.taken": ErrorKind(
        "What is in the place of these weights was not made by iblvideo-admin.",
        "Move it away, or give the weights another name with the role's weights_name.",
    ),
    "weights.not_writable": ErrorKind(
        "The folder of all weights cannot be written.",
        "Run the command as the user who owns it (`sudo`), or use the role weights.",
        CANNOT_RUN,
    ),
    "weights.not_convertible": ErrorKind(
        "A network is of a kind that is not converted to ONNX.",
        "Track with a toolchain of TensorFlow, or with the IBL's networks (resnet_50).",
        CANNOT_RUN,
    ),
    "weights.differ": ErrorKind(
        "A converted network does not give what TensorFlow gives.",
        "Track with a toolchain of TensorFlow, and report the network's kind and the numbers.",
    ),
    "disk.full": ErrorKind(
        "There is no room on the disk.", "Free space on the named file system.", CANNOT_RUN, transient=True
    ),
    # ------------------------------------------------------------------ one video
    "video.missing": ErrorKind("The video is gone.", "Copy it back from the rig.", transient=False),
    "video.empty": ErrorKind("The video file has no bytes or no frames.", "Copy it again from the rig."),
    "video.corrupt": ErrorKind(
        "The file is damaged, not a video, or not yet copied to its end.",
        "If it is still being copied, name it again afterwards; else copy it again from the rig.",
    ),
    "video.not_readable": ErrorKind("The video may not be read.", "Give this user the right to read the file."),
    "video.truncated": ErrorKind(
        "The video ends before the place where its index says.", "Wait for the transfer, or copy it again from the rig."
    ),
    "video.changed": ErrorKind(
        "The video's file changed while it was tracked.", "Wait until its transfer has ended.", transient=True
    ),
    "video.wrong_size": ErrorKind(
        "The picture's size is not this camera's.",
        "Check that the file is the raw video of this camera (left 1280x1024, right and body 640x512).",
    ),
    "regions.not_found": ErrorKind(
        "The region network found no anchor for a window in any sampled frame.",
        "Look at the picture that is named, then give the points by hand with --windows FILE.",
    ),
    "output.not_writable": ErrorKind(
        "The session's alf folder cannot be written.", "Give this user the right to write there, or remount it."
    ),
    "table.not_usable": ErrorKind(
        "A table of points cannot be read, or holds none.",
        "Name a .dlc.pqt or .lightningPose.pqt table, or DeepLabCut's .csv.",
    ),
    "output.taken": ErrorKind(
        "The file to be written is one that must not be replaced.", "Name another file with --out.", USAGE
    ),
    # ------------------------------------------------------------------ the engine
    "engine.failed": ErrorKind("The tracking engine reported an error.", "Run `iblvideo-admin check-gpu`."),
    "engine.crashed": ErrorKind(
        "The tracking engine's process ended in the middle.",
        "Read the job's log, then run `iblvideo-admin check-gpu`.",
        transient=True,
    ),
    "engine.timeout": ErrorKind(
        "The tracking engine did not answer in time.", "Run `iblvideo-admin check-gpu`.", transient=True
    ),
    "engine.out_of_memory": ErrorKind(
        "The memory of the card, or of the server, did not suffice even for half a batch.",
        "See what else uses it (`nvidia-smi`, `free -h`); the job is tried again.",
        transient=True,
    ),
    "gpu.none": ErrorKind(
        "There is no GPU here that the toolchain can use.", "Run `iblvideo-admin check-gpu`.", CANNOT_RUN
    ),
    "gpu.lost": ErrorKind(
        "A GPU that was there does not answer any more.",
        "Run `iblvideo-admin check-gpu`; the job is tried again.",
        transient=True,
    ),
    "engine.garbage": ErrorKind(
        "The tracking engine's answer is not in its protocol.",
        "Check that dlc_python belongs to this version of iblvideo-admin.",
    ),
    # ------------------------------------------------------------------ the queue
    "queue.held": ErrorKind(
        "The queue is held: jobs were added but none is started.", "`iblvideo-admin queue release`"
    ),
    "queue.job_unknown": ErrorKind("There is no job of that number.", "`iblvideo-admin queue list` shows them.", USAGE),
    "queue.not_possible": ErrorKind(
        "The job's status does not allow that.", "`iblvideo-admin queue show ID` shows its status.", USAGE
    ),
    "queue.busy": ErrorKind(
        "The video or the device is in use by another process.", "Wait for it to end.", transient=True
    ),
    "job.damaged": ErrorKind(
        "The job's folder is gone, or what was asked cannot be read there.",
        "Name the video to `iblvideo-admin process` again.",
    ),
    "job.died": ErrorKind(
        "The job's process ended without a result.",
        "Read the job's log with `iblvideo-admin queue show ID`.",
        transient=True,
    ),
    "job.stuck": ErrorKind(
        "The job had no new frame for longer than stuck_s, and was ended.",
        "Read the job's log (`iblvideo-admin queue log ID`), then run `iblvideo-admin check-gpu`.",
        transient=True,
    ),
    "job.too_slow": ErrorKind(
        "The job took much longer than this server needs for so many frames, and was ended.",
        "See what else uses the server (`iblvideo-admin check-gpu`), or set time_limit_factor.",
        transient=True,
    ),
    "interrupted": ErrorKind(
        "The command was interrupted; the running job went back to the queue.",
        "Run it again.",
        INTERRUPTED,
        transient=True,
    ),
    "bug": ErrorKind("Something that was not foreseen happened.", "Report it with the trace in the log."),
}


class UserError(Exception):
    """Something foreseeable went wrong.

    ``code`` must be in :data:`CATALOGUE`; ``message`` is one sentence about this very case; ``remedy`` is
    what to do, the catalogue's own where it is not given.
    """

    def __init__(self, code: str, message: str, remedy: str | None = None) -> None:
        kind = CATALOGUE[code]
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = kind.remedy if remedy is None else remedy

    @property
    def exit_code(self) -> int:
        """The exit status of a command that ends with this error."""
        return CATALOGUE[self.code].exit_code

    @property
    def transient(self) -> bool:
        """Whether a job that ended so may be tried again without anybody doing anything."""
        return CATALOGUE[self.code].transient
