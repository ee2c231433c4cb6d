"""Plays a URI to its end, goes back to three quarters, plays to the end again, and prints what came
out: `playbin` is the element that plays, playbin3 or playbin."""

import sys

import gi

gi.require_version('Gst', '1.0')
from gi.repository import Gst  # noqa: E402

SILENCE = 10 * Gst.SECOND


def main(playbin, uri):
    Gst.init(None)
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
        message = bus.timed_pop_filtered(SILENCE, wanted | Gst.MessageType.ERROR)
        if message is None:
            sys.exit(f'nothing for {SILENCE // Gst.SECOND} s')
        if message.type == Gst.MessageType.ERROR:
            sys.exit(f'{message.parse_error()}')

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
        sys.exit('it does not seek')
    wait(Gst.MessageType.ASYNC_DONE)
    play_to_the_end()
    player.set_state(Gst.State.NULL)


main(*sys.argv[1:])
