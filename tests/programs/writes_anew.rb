# The main thread writes what another has written, and that one lives: Ruby keeps a thread that has ended for a moment, and
# the next one to be started is the same to libc.
Thread.new { ENV['JOB_NAME'] = 'first' }.join
ENV['JOB_NAME'] = 'main'
Thread.new { puts "thread=#{ENV['JOB_NAME']}" }.join
puts "main=#{ENV['JOB_NAME']}", "program=#{`printenv JOB_NAME`}"
