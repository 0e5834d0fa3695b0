"""Jupyter kernels, forked from one process that has loaded what is slow to load, so that each starts at once.

A forked kernel is as fresh as one that is started: its namespace is empty, and nothing of adapool has been imported.
Where there is no fork, kernels are started.
"""

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from queue import Empty

import zmq.asyncio
from jupyter_client import AsyncKernelClient, AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Type, default

LOADED = ("ipykernel.kernelapp", "matplotlib.pyplot", "torch", "numba", "torch._dynamo", "onnxscript",
          "torch.onnx._internal.exporter._core", "onnxruntime")


class Forked:
    "A kernel as `subprocess.Popen` would hold it. It is a child of the parent of all kernels, which waits for it."
    stdin = stdout = stderr = None
    parent = None

    def __init__(self, args, folder):
        if Forked.parent is None or Forked.parent.poll() is not None:
            command = [sys.executable, "-P", __file__]
            Forked.parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(json.dumps([args, str(folder)]), file=Forked.parent.stdin, flush=True)
        self.pid = int(Forked.parent.stdout.readline())

    def poll(self):
        try: os.kill(self.pid, 0)
        except ProcessLookupError: return 0

    def wait(self): return 0  # called where `poll` has said so

    def send_signal(self, number): os.kill(self.pid, number)

    def kill(self): self.send_signal(signal.SIGKILL)

    def terminate(self): self.send_signal(signal.SIGTERM)


class Provisioner(LocalProvisioner):
    async def launch_kernel(self, cmd, cwd, **_):
        self.process = Forked(cmd[cmd.index("ipykernel_launcher") + 1:], cwd)
        self.pid = self.pgid = self.process.pid
        return self.connection_info


class Client(AsyncKernelClient):
    async def wait_for_ready(self, timeout=None):
        "Until all that is said of one question has come; jupyter_client's goes on listening."
        while True:
            asked = self.kernel_info()
            try:
                self._handle_kernel_info_reply(await self.get_shell_msg(timeout=1))
                while True:
                    said = await self.get_iopub_msg(timeout=0.05)
                    idle = said["content"].get("execution_state") == "idle"
                    if idle and said["parent_header"].get("msg_id") == asked: return
            except Empty:
                if not await self.is_alive(): raise RuntimeError("the kernel died before it was ready") from None


class Manager(AsyncKernelManager):
    "Forks kernels."
    client_factory = Type(Client)

    @default("context")
    def _context_default(self):
        self._created_context, context = True, zmq.asyncio.Context()
        context.setsockopt(zmq.RECONNECT_IVL, 10)  # ms until it is seen that the kernel has come
        return context

    async def _async_wait(self, pollinterval=0.01): await super()._async_wait(pollinterval)

    async def _async_pre_start_kernel(self, **options):
        if hasattr(os, "fork"): self.provisioner = Provisioner(parent=self, kernel_spec=self.kernel_spec)
        return await super()._async_pre_start_kernel(**options)


def become(args, folder):
    "Turn a forked child into a kernel; never returns."
    from ipykernel.kernelapp import IPKernelApp
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.chdir(folder)
    sys.argv = ["ipykernel_launcher", *args]
    IPKernelApp.launch_instance()
    app = IPKernelApp.instance()
    app.control_thread.join(5)  # its last flush goes through threads that stop next, and else now and then hangs
    atexit.unregister(app.close)  # a quarter of a second, for sockets that end with the process
    atexit._run_exitfuncs()
    os._exit(0)  # to take apart all that has been loaded takes seconds


def main():
    "Fork a kernel for each line of standard input, and say its number."
    import importlib
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as kernels have it
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # with which they end
    for name in LOADED: importlib.import_module(name)
    once = runpy.run_path(str(Path(__file__).with_name("once.py")))
    once["read_torchlib_once"]()
    once["keep_what_is_loaded"]()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a kernel ended
    for line in sys.stdin:
        child = os.fork()
        if not child: become(*json.loads(line))
        print(child, flush=True)


if __name__ == "__main__": main()
