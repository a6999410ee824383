-- The instances that answered a message of a session lately: no more than the last eight, of 33 characters
-- each, whoever has written what stands there.
-- KEYS: the session.
return string.sub(redis.call('HGET', KEYS[1], 'at') or '', 1, 264)
