"""Plays with GStreamer, without a screen.

    gstreamer.py missing         prints the Debian packages that it needs and that are not there
    gstreamer.py PLAYBIN URI     plays to the end, goes back to three quarters, plays to the end
                                 again, and prints what came out; PLAYBIN is the element that
                                 plays: playbin3 or playbin
"""

import os
import sys

# Elements that are needed, and where Debian has them.
PACKAGES = {
    'gstreamer1.0-plugins-base': ['playbin', 'playbin3'],
    'gstreamer1.0-plugins-good': ['souphttpsrc', 'qtdemux', 'hlsdemux2', 'dashdemux2'],
    'gstreamer1.0-plugins-bad': ['hlsdemux', 'dashdemux', 'tsdemux', 'h264parse'],
    'gstreamer1.0-libav': ['avdec_h264', 'avdec_aac'],
}

# In seconds.
LONGEST_SILENCE = 10

# What is printed of a failure: the last lines that these parts of GStreamer logged.
LOGGED = '2,souphttpsrc:5,adaptivedemux2:5,hlsdemux2:5,uridownloader:5,hlsdemux:5,adaptivedemux:5'
LOGGED_BYTES = 16384

try:
    import gi
    gi.require_version('Gst', '1.0')
    from gi.repository import Gst
    Gst.init(None)
except (ImportError, ValueError):
    Gst = None


def missing():
    if Gst is None:
        return ['python3-gi', 'gir1.2-gstreamer-1.0', *PACKAGES]
    found = Gst.ElementFactory.find
    return [name for name, elements in PACKAGES.items() if not all(map(found, elements))]


def fail(why):
    print(why)
    for log in Gst.debug_ring_buffer_logger_get_logs() if Gst else ():
        print(log)
    sys.stdout.flush()
    # At once: a regular end would wait for elements that still play.
    os._exit(1)


def play(playbin, uri):
    Gst.debug_set_threshold_from_string(LOGGED, True)
    Gst.debug_add_ring_buffer_logger(LOGGED_BYTES, 0)
    # Or it would print all of it to standard error.
    Gst.debug_remove_log_function(None)
    player = Gst.ElementFactory.make(playbin)
    count = {}
    for kind in 'video', 'audio':
        sink = Gst.ElementFactory.make('fakesink')
        sink.set_property('signal-handoffs', True)
        sink.connect('handoff', lambda *_, kind=kind: count.update({kind: count[kind] + 1}))
        player.set_property(f'{kind}-sink', sink)
    player.set_property('uri', uri)
    bus = player.get_bus()

    def wait(wanted):
        message = bus.timed_pop_filtered(LONGEST_SILENCE * Gst.SECOND, wanted | Gst.MessageType.ERROR)
        if message is None:
            fail(f'nothing for {LONGEST_SILENCE} s')
        if message.type == Gst.MessageType.ERROR:
            fail(f'{message.parse_error()}')

    def play_to_the_end():
        count.update(video=0, audio=0)
        player.set_state(Gst.State.PLAYING)
        wait(Gst.MessageType.EOS)
        _, position = player.query_position(Gst.Format.TIME)
        print('end', position / Gst.SECOND, count['video'], count['audio'])

    player.set_state(Gst.State.PAUSED)
    wait(Gst.MessageType.ASYNC_DONE)
    _, duration = player.query_duration(Gst.Format.TIME)
    print('duration', duration / Gst.SECOND)
    play_to_the_end()
    player.set_state(Gst.State.PAUSED)
    flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.ACCURATE
    if not player.seek_simple(Gst.Format.TIME, flags, duration * 3 // 4):
        fail('it does not seek')
    wait(Gst.MessageType.ASYNC_DONE)
    play_to_the_end()
    player.set_state(Gst.State.NULL)


if sys.argv[1:] == ['missing']:
    print(*missing())
elif missing():
    fail(f"this test needs GStreamer; install it with 'apt-get install {' '.join(missing())}'")
else:
    play(*sys.argv[1:])
