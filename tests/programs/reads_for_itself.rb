# The time zone that a thread sets, as Ruby sees it.
def look(place)
  time = Time.at(0).localtime
  puts "#{place}_zone=#{time.zone} #{time.hour}", "#{place}_tz=#{ENV['TZ']}", "#{place}_date=#{`date -d @0 '+%Z %H'`}"
end

# Each has its turn, while the other lives.
def alternately(settings)
  inboxes = settings.to_h { |name, _| [name, Queue.new] }
  done = Queue.new
  threads = settings.map do |name, zone|
    Thread.new do
      while (step = inboxes[name].pop) != :end
        step == :set ? ENV.update('TZ' => zone, 'JOB_NAME' => name) : look("#{step}_#{name}")
        done << true
      end
    end
  end
  ask = lambda do |name, step|
    inboxes[name] << step
    done.pop
  end
  settings.each_key { |name| ask.(name, :set) }
  settings.each_key { |name| ask.(name, :both) }
  ask.('one', :set)
  settings.each_key { |name| ask.(name, :again) }
  inboxes.each_value { |inbox| inbox << :end }
  threads.each(&:join)
end

ENV['TZ'] = 'UTC'
look('initial')
Thread.new { ENV['TZ'] = 'WORK-2'; look('worker') }.join
look('main')
alternately('one' => 'ONE+3', 'two' => 'TWO-5')
look('end')
