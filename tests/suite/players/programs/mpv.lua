-- Plays to the end, and with the option `players-seek` from three quarters to the end again; prints
-- the positions. Needs --keep-open.
local mp = require 'mp'
local options = { seek = false }
require('mp.options').read_options(options, 'players')

local function position() return mp.get_property_number('time-pos', -1) end

mp.register_event('file-loaded', function()
  print('duration ' .. mp.get_property_number('duration', -1))
end)

mp.register_event('playback-restart', function()
  print('plays from ' .. position())
end)

mp.observe_property('eof-reached', 'bool', function(_, reached)
  if not reached then return end
  print('ended at ' .. position())
  if options.seek then
    options.seek = false
    mp.commandv('seek', 75, 'absolute-percent+exact')
    mp.set_property_bool('pause', false)
  else
    mp.command('quit')
  end
end)
