# What the Ruby programs share: what is seen of the variables JOB_*, and threads that act step by step.

def ours(text)
  text.lines(chomp: true).grep(/\AJOB_/).join(' ')
end

def child(*arguments, **options)
  ours(IO.popen([*arguments, '/usr/bin/env', **options], &:read))
end

def spawned(*arguments)
  reader, writer = IO.pipe
  pid = Process.spawn(*arguments, '/usr/bin/env', out: writer)
  writer.close
  text = reader.read
  Process.wait(pid)
  ours(text)
end

def forked
  reader, writer = IO.pipe
  pid = fork do
    $stdout.reopen(writer)
    exec('/usr/bin/env')
  end
  writer.close
  text = reader.read
  Process.wait(pid)
  ours(text)
end

def look(place)
  facts = {
    get: ENV['JOB_NAME'].inspect,
    to_h: ENV.to_h.map { |name, value| "#{name}=#{value}" }.grep(/\AJOB_/).join(' '),
    keys: ENV.keys.grep(/\AJOB_/).join(' '),
    popen: child,
    more: child({ 'JOB_OTHER' => 'other' }),
    own: child({ 'JOB_NAME' => 'own' }),
    less: child({ 'JOB_NAME' => nil }),
    emptied: child(unsetenv_others: true),
    only: child({ 'JOB_ONLY' => 'only' }, unsetenv_others: true),
    spawn: spawned,
    spawn_more: spawned({ 'JOB_OTHER' => 'other' }),
    backticks: ours(`/usr/bin/env`),
    shell: `echo $JOB_NAME`.chomp,
    fork: forked
  }
  facts.each { |name, value| puts "#{place}_#{name}=#{value}" }
  $stdout.flush
  system('exit ${JOB_STATUS-9}')
  puts "#{place}_system=#{$?.exitstatus}"
end

# Does what it is told, step by step.
class Worker
  def initialize
    @orders = Queue.new
    @done = Queue.new
    @thread = Thread.new do
      while (order = @orders.pop)
        order.call
        @done << true
      end
    end
  end

  def run(&order)
    @orders << order
    @done.pop
  end

  def end
    @orders << nil
    @thread.join
  end
end
