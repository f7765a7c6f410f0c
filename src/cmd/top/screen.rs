//! The terminal, taken and given back whatever happens.

use std::io::{self, Stdout, Write as _};
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

/// The terminal while this program draws on it.
pub(super) struct Screen {
    out: Stdout,
}

impl Screen {
    /// Takes it; a panic gives it back before it is told.
    pub(super) fn take() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        enable_raw_mode()?;
        let mut screen = Self { out: io::stdout() };
        execute!(screen.out, EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Draws over what is there, so that nothing flickers.
    pub(super) fn show(&mut self, frame: &str) -> io::Result<()> {
        let (width, height) = size().unwrap_or((80, 24));
        queue!(self.out, MoveTo(0, 0))?;
        for line in frame.lines().take(height.into()) {
            let line: String = line.chars().take(width.into()).collect();
            queue!(self.out, Print(line), Clear(ClearType::UntilNewLine), Print("\r\n"))?;
        }
        queue!(self.out, Clear(ClearType::FromCursorDown))?;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Nothing is left to be done about a terminal that cannot be given back.
fn give_back() {
    let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

/// Whether somebody presses `q`, Escape or Ctrl-C within this time. Another size of the window ends the wait.
pub(super) fn quits_within(time: Duration) -> io::Result<bool> {
    let ends = Instant::now() + time;
    loop {
        let left = ends.saturating_duration_since(Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        match event::read()? {
            Event::Key(key) => {
                let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
            Event::Resize(..) => return Ok(false),
            _ => {}
        }
    }
}
