# The main thread writes what a worker has written, and the worker lives. Ruby keeps the threads of libc that have ended
# for a moment and takes one for the next thread, so this is seen without a worker, too.
require_relative 'job'

worker = Worker.new
worker.run { ENV['JOB_NAME'] = 'worker' }
ENV['JOB_NAME'] = 'main'
worker.run { puts "thread=#{ENV['JOB_NAME']}" }
puts "main=#{ENV['JOB_NAME']}", "program=#{`printenv JOB_NAME`}"
worker.end
