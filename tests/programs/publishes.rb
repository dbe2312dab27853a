# Threads that set variables for others to read, one writer of a name at a time.
require_relative 'job'

ENV['JOB_NAME'] = ENV['JOB_ANOTHER'] = 'initial'
ENV['JOB_STATUS'] = '3'
look('alone')

worker = Worker.new
worker.run { ENV['JOB_NAME'] = 'worker' }
worker.run { ENV.update('JOB_NEW' => 'worker', 'JOB_STATUS' => '4') }
look('beside')
ENV['JOB_MAIN'] = 'initial'
worker.run { look('worker') }
worker.run { ENV.delete('JOB_ANOTHER') }
look('removed')
worker.end
look('joined')

Thread.new { ENV['JOB_NAME'] = 'published' }.join
look('published')

pool = [Worker.new, Worker.new, Worker.new]
pool[0].run { ENV['JOB_TASK'] = 'first half' }
pool[1].run { look('second_half') }
pool[1].run { ENV['JOB_RESULT'] = 'second half' }
pool[2].run { look('third_half') }
pool.each(&:end)
look('end')
