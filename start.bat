@echo off
rem Double-click it, or: start.bat [SHOW] [OPTIONS]. Makes the environment on the first run, then starts the show.
setlocal
set "here=%~dp0"
fc /b "%here%pyproject.toml" "%here%.venv\installed.toml" >nul 2>&1 && goto show

set "python="
for %%p in ("py -3.13" "py -3.12" "py -3.11" "python") do if not defined python call :try %%~p
if not defined python (
    echo Python 3.11 or newer is needed: https://www.python.org/downloads/
    pause
    exit /b 2
)
echo First run: making the environment in %here%.venv, about a minute ...
%python% -m venv "%here%.venv" || goto failed
"%here%.venv\Scripts\python.exe" -m pip install --quiet --editable "%here%." || goto failed
copy /y "%here%pyproject.toml" "%here%.venv\installed.toml" >nul || goto failed

:show
"%here%.venv\Scripts\python.exe" "%here%run_server.py" %*
if errorlevel 1 pause
exit /b

:try
%* -c "import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))" >nul 2>&1 && set "python=%*"
exit /b 0

:failed
echo The environment could not be made; what went wrong stands above.
pause
exit /b 1
