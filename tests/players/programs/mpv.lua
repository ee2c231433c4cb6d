-- Plays to the middle, goes on at three quarters, plays to the end, and prints where it was.
-- Without the option `players-seek` it plays through.
local mp = require 'mp'
local options = { seek = false }
require('mp.options').read_options(options, 'players')

local duration, last = 0, 0
local to_seek = options.seek

mp.register_event('file-loaded', function()
  duration = mp.get_property_number('duration')
  print('duration ' .. duration)
end)

mp.observe_property('time-pos', 'number', function(_, position)
  if not position then return end
  last = position
  if to_seek and position > duration / 2 then
    to_seek = false
    mp.commandv('seek', duration * 3 / 4, 'absolute+exact')
  end
end)

mp.register_event('playback-restart', function()
  print('plays from ' .. mp.get_property_number('time-pos'))
end)

mp.register_event('end-file', function(event)
  print('ended by ' .. event.reason .. ' at ' .. last)
end)
